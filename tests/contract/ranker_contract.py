"""What every ranker must keep; subclass it and say how the ranker is made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from audotics.errors import BadInputError, DamagedError, NotFittedError
from audotics.ranking.protocol import Ranker
from audotics.ranking.quality import mean_ndcg
from contract.ranking_lists import linear_examples, padded

TRAIN = linear_examples(seed=1)
VALIDATION = linear_examples(seed=2, n_lists=100)


@cache
def _fitted(contract: type[RankerContract]) -> Ranker:
    return contract().make().fit(TRAIN, VALIDATION)


@cache
def _saved(contract: type[RankerContract]) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory()
    _fitted(contract).save(Path(folder.name))
    return folder


class RankerContract:
    """Checks of the `Ranker` protocol. ``floor`` is the least NDCG@20 on lists whose truth is linear."""

    floor: float
    tolerance = 0.0

    def make(self) -> Ranker:
        """A fresh ranker, not fitted."""
        raise NotImplementedError

    @property
    def fitted(self) -> Ranker:
        """The ranker fitted on `TRAIN`, once for all checks of the class."""
        return _fitted(type(self))

    @property
    def saved(self) -> Path:
        """The folder it was saved to, once; not to be changed."""
        return Path(_saved(type(self)).name)

    def test_scores_have_the_shape_of_the_lists(self):
        scores = self.fitted.score(VALIDATION.inputs)
        assert scores.shape == VALIDATION.inputs.track_index.shape
        assert scores.dtype == np.float32

    def test_padding_is_minus_infinity_and_nothing_else_is(self):
        scores = self.fitted.score(VALIDATION.inputs)
        assert np.array_equal(np.isfinite(scores), VALIDATION.inputs.present)
        assert not np.isnan(scores).any()

    def test_orders_unseen_lists_well(self):
        fresh = linear_examples(seed=3)
        assert mean_ndcg(self.fitted.score(fresh.inputs), fresh) >= self.floor

    def test_padding_never_influences(self):
        width = VALIDATION.inputs.track_index.shape[1]
        scores = self.fitted.score(padded(VALIDATION, extra=9).inputs)
        assert np.all(scores[:, width:] == -np.inf)
        np.testing.assert_allclose(scores[:, :width], self.fitted.score(VALIDATION.inputs), atol=1e-5)

    def test_a_list_is_scored_the_same_alone(self):
        alone = self.fitted.score(VALIDATION.inputs.take(np.array([4], np.int32)))
        np.testing.assert_allclose(alone[0], self.fitted.score(VALIDATION.inputs)[4], atol=1e-5)

    def test_no_lists_give_no_scores(self):
        nothing = VALIDATION.inputs.take(np.array([], np.int32))
        assert self.fitted.score(nothing).shape == (0, VALIDATION.inputs.track_index.shape[1])

    def test_inputs_are_left_alone(self):
        before = VALIDATION.inputs.features.copy()
        self.fitted.score(VALIDATION.inputs)
        assert np.array_equal(before, VALIDATION.inputs.features)

    def test_saved_equals_loaded(self):
        loaded = type(self.fitted).load(self.saved)
        assert loaded.name == self.fitted.name
        np.testing.assert_allclose(
            loaded.score(VALIDATION.inputs), self.fitted.score(VALIDATION.inputs), rtol=0, atol=self.tolerance
        )

    def test_saved_files_are_plain(self):
        suffixes = {path.suffix for path in self.saved.rglob("*") if path.is_file()}
        assert suffixes
        assert not suffixes & {".pkl", ".pickle", ".joblib", ".h5"}

    def test_a_damaged_file_is_named(self, tmp_path: Path):
        shutil.copytree(self.saved, tmp_path, dirs_exist_ok=True)
        (tmp_path / "ranker.json").write_text("{")
        with pytest.raises(DamagedError, match=r"ranker\.json"):
            type(self.fitted).load(tmp_path)

    def test_other_features_are_refused(self):
        inputs = replace(VALIDATION.inputs, feature_names=tuple(reversed(VALIDATION.inputs.feature_names)))
        with pytest.raises(BadInputError, match="order differs"):
            self.fitted.score(inputs)

    def test_must_be_fitted_first(self, tmp_path: Path):
        with pytest.raises(NotFittedError):
            self.make().score(VALIDATION.inputs)
        with pytest.raises(NotFittedError):
            self.make().save(tmp_path)

    def test_fits_the_same_twice_and_forgets_the_first_fit(self):
        other = linear_examples(seed=9, n_lists=60)
        again = self.make().fit(other, other).fit(TRAIN, VALIDATION)
        assert np.array_equal(again.score(VALIDATION.inputs), self.fitted.score(VALIDATION.inputs))
