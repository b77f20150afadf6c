from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import build_corpus
from audotics.retrieval.friends import Friends
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever
from audotics.retrieval.sequence import SequenceEncoder
from contract.planted import no_users, planted_events, planted_tracks
from contract.retriever_contract import RetrieverContract, Settings, everyone, planted_corpus

QUICK: dict[str, Settings] = {
    "ials": {"rank": 4},
    "sequence": {"dim": 8, "max_steps": 60, "learning_rate": 0.02},
}
"""Settings for checks in which quality does not matter much."""


class TestIALSContract(RetrieverContract):
    name = "ials"
    settings: ClassVar[Settings] = {"rank": 8}
    # A single listener's systems are solved in another order than a whole block's.
    tolerance = 1e-4


class TestItemKNNContract(RetrieverContract):
    name = "item-knn"
    settings: ClassVar[Settings] = {"n_neighbours": 30}


class TestFriendsContract(RetrieverContract):
    name = "friends"

    def test_who_asks_does_not_matter_only_the_history(self):
        """Of all retrievers this one alone knows who asks: friends are a listener's, not a history's."""
        batch = everyone(self.corpus)
        strangers = replace(batch, user_index=np.full(batch.size, -1, np.int32))
        assert self.fitted.score(batch).any(axis=1).all()
        assert not self.fitted.score(strangers).any()

    def test_applies_to_the_planted_service_and_not_to_nothing(self):
        assert Friends.applies_to(planted_corpus())
        assert not Friends.applies_to(build_corpus(planted_events(), planted_tracks(), no_users()))


class TestUserKNNContract(RetrieverContract):
    name = "user-knn"
    settings: ClassVar[Settings] = {"n_neighbours": 20}


class TestRP3BetaContract(RetrieverContract):
    name = "rp3beta"


class TestEASEContract(RetrieverContract):
    name = "ease"
    settings: ClassVar[Settings] = {"n_neighbours": 50}


class TestPopularityContract(RetrieverContract):
    name = "popularity"
    least_in_genre = None


class TestFavouritesContract(RetrieverContract):
    name = "favourites"
    least_in_genre = None


class TestTransitionsContract(RetrieverContract):
    name = "transitions"


class TestContentContract(RetrieverContract):
    name = "content"
    least_in_genre = 0.9


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="fitting needs TensorFlow")
class TestSequenceContract(RetrieverContract):
    name = "sequence"
    settings: ClassVar[Settings] = QUICK["sequence"]
    # One history is multiplied in another order than a whole block's.
    tolerance = 1e-4

    def test_applies_to_the_planted_service_and_not_to_nothing(self):
        assert not SequenceEncoder.applies_to(planted_corpus())
        events = planted_events(n_users=900)
        many = events.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias("position"))
        assert SequenceEncoder.applies_to(build_corpus(many, planted_tracks(), no_users()))


def test_every_retriever_has_a_contract() -> None:
    checked = {kind.name for kind in RetrieverContract.__subclasses__()}
    assert checked == set(RETRIEVER_NAMES)


LOAD_AND_SCORE = """
import json, sys
from pathlib import Path
import numpy as np
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.retrieval.names import retriever_class

folder, n_tracks = Path(sys.argv[1]), int(sys.argv[2])
histories = Interactions.from_histories([[0, 1, 2], []], n_tracks)
batch = QueryBatch.of_listeners(histories, np.arange(2, dtype=np.int32))
for home in sorted(folder.iterdir()):
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in home.glob("*.npy")}
    config = json.loads((home / "config.json").read_text())
    retriever = retriever_class(home.name).from_arrays(config, arrays)
    assert np.isfinite(retriever.score(batch)).all()
    retriever.explain(batch, np.array([3, 3], np.int32))
unwanted = {"sklearn", "sparse_dot_topn", "tensorflow", "threadpoolctl", "optuna", "pandera"}
print(json.dumps(sorted(unwanted & set(sys.modules))))
"""


def test_loading_and_scoring_need_only_numpy_and_sparse_matrices(tmp_path: Path) -> None:
    corpus = planted_corpus()
    for name in RETRIEVER_NAMES:
        if name == "sequence" and find_spec("tensorflow") is None:
            continue
        fitted = new_retriever(name, QUICK.get(name, {})).fit(corpus)
        home = tmp_path / name
        home.mkdir()
        (home / "config.json").write_text(json.dumps(fitted.config.model_dump(mode="json")))
        for key, array in fitted.arrays().items():
            np.save(home / f"{key}.npy", array, allow_pickle=False)
    done = subprocess.run(
        [sys.executable, "-c", LOAD_AND_SCORE, str(tmp_path), str(corpus.n_tracks)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", ["ials", "item-knn", "rp3beta", "ease", "transitions", "favourites"])
def test_a_track_nobody_played_gets_no_score_from_listening(name: str) -> None:
    corpus = planted_corpus()
    hidden = corpus.events["track_index"].to_numpy() != 5
    part = corpus.keep(hidden)
    retriever = new_retriever(name, {"rank": 4} if name == "ials" else {}).fit(part)
    assert not retriever.score(everyone(part))[:, 5].any()
