from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audotics.errors import BadInputError, DamagedError, NotFittedError
from audotics.ranking.blend import BlendRanker, standardised
from audotics.ranking.linear import LinearRanker
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import Ranker
from contract.ranker_contract import TRAIN, VALIDATION, RankerContract


def members() -> list[Ranker]:
    return [LogisticRanker(), LinearRanker(), MeanRanker()]


class TestBlendContract(RankerContract):
    floor = 0.59
    tolerance = 1e-5

    def make(self) -> BlendRanker:
        return BlendRanker(members)


def test_every_member_weighs_the_same_whatever_its_scale() -> None:
    fitted = [ranker.fit(TRAIN, VALIDATION) for ranker in members()]
    inputs = VALIDATION.inputs
    by_hand = np.full(inputs.track_index.shape, -np.inf)
    for row, present in enumerate(inputs.present):
        columns = np.stack([ranker.score(inputs)[row, present] for ranker in fitted])
        z = (columns - columns.mean(axis=1, keepdims=True)) / columns.std(axis=1, keepdims=True)
        by_hand[row, present] = z.mean(axis=0)
    np.testing.assert_allclose(BlendRanker.of(fitted).score(inputs), by_hand, atol=1e-4)


def test_a_list_of_equal_scores_says_nothing() -> None:
    inputs = VALIDATION.inputs
    scores = np.where(inputs.present, np.float32(3.0), -np.inf)
    assert not standardised(scores, inputs).any()


def test_a_blend_without_members_is_not_fitted() -> None:
    with pytest.raises(NotFittedError):
        BlendRanker(members).score(VALIDATION.inputs)


def test_a_loaded_blend_cannot_be_fitted(tmp_path: Path) -> None:
    BlendRanker(members).fit(TRAIN, VALIDATION).save(tmp_path)
    with pytest.raises(NotFittedError):
        BlendRanker.load(tmp_path).fit(TRAIN, VALIDATION)


@pytest.mark.parametrize("names", ['["blend"]', "[]", '"linear"', '["no-such"]'])
def test_a_blend_of_nonsense_is_refused(tmp_path: Path, names: str) -> None:
    (tmp_path / "ranker.json").write_text(f'{{"ranker": "blend", "members": {names}}}', encoding="utf-8")
    with pytest.raises((DamagedError, BadInputError)):
        BlendRanker.load(tmp_path)
