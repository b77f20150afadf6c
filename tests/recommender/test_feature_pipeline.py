from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.schema import TRACKS, USERS
from audotics.domain import FloatArray
from audotics.errors import BadInputError, NotFittedError
from audotics.ranking.config import ModelConfig
from audotics.ranking.deep import DeepRanker
from audotics.ranking.hashing import hashed_index
from audotics.ranking.protocol import RankingInputs
from audotics.recommender import candidates
from audotics.recommender.feature_pipeline import FeaturePipeline
from contract.planted import GENRES, completed, events_table, planted_tracks

HOMES = ("NO", "BR", "JP")


def listeners(n: int, first: int = 0) -> pl.DataFrame:
    """Listener i is at home in country i % 3, which decides the genre."""
    return completed(
        pl.DataFrame(
            {
                "user_id": [f"u{user}" for user in range(first, first + n)],
                "country": [HOMES[user % len(HOMES)] for user in range(first, first + n)],
            }
        ),
        USERS,
    )


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    users = [f"u{user}" for user in range(240) for _ in range(12)]
    tracks = [
        f"t{30 * (user % 3) + track:03d}"
        for user in range(240)
        for track in rng.choice(30, size=12, replace=False)
    ]
    kinds = rng.choice(["complete", "skip"], size=len(users), p=[0.7, 0.3]).tolist()
    events = events_table(pl.DataFrame({"user_id": users, "track_id": tracks, "event": kinds}))
    return build_corpus(events, planted_tracks(), listeners(240))


@pytest.fixture(scope="module")
def pipeline(corpus: Corpus) -> FeaturePipeline:
    config = ModelConfig(
        embedding_dim=8, hidden=(32, 16), epochs=30, learning_rate=5e-3, batch_size=16, patience=10
    )
    return FeaturePipeline(config=config).fit(corpus)


def test_chances_have_a_row_per_listener_and_a_column_per_track(
    pipeline: FeaturePipeline, corpus: Corpus
) -> None:
    chances = pipeline.process_and_predict(corpus.user_table.head(5), corpus.track_table.head(7))
    assert set(chances) == {"play", "complete", "skip"}
    for chance in chances.values():
        assert chance.shape == (5, 7)
        assert ((chance >= 0) & (chance <= 1)).all()


def test_listeners_never_seen_get_the_genre_of_their_country(pipeline: FeaturePipeline) -> None:
    strangers = listeners(6, first=900)
    play = pipeline.process_and_predict(strangers, planted_tracks())["play"]
    by_genre = play.reshape(6, len(GENRES), -1).mean(axis=2)
    np.testing.assert_array_equal(by_genre.argmax(axis=1), [user % 3 for user in range(900, 906)])


def test_tracks_never_seen_are_judged_by_their_content(pipeline: FeaturePipeline, corpus: Corpus) -> None:
    new = completed(
        pl.DataFrame({"track_id": [f"new{i}" for i in range(3)], "genres": [[genre] for genre in GENRES]}),
        TRACKS,
    )
    play = pipeline.process_and_predict(corpus.user_table, new)["play"]
    homes = [int(user_id[1:]) % 3 for user_id in corpus.user_table["user_id"]]
    assert np.mean(play.argmax(axis=1) == homes) > 0.8


def test_blocks_of_listeners_change_no_chance(
    pipeline: FeaturePipeline, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = corpus.user_table.head(5), corpus.track_table.head(7)
    whole = pipeline.process_and_predict(*asked)
    sizes = []
    probabilities = DeepRanker.probabilities

    def watched(ranker: DeepRanker, inputs: RankingInputs) -> dict[str, FloatArray]:
        sizes.append(inputs.n_lists)
        return probabilities(ranker, inputs)

    monkeypatch.setattr(DeepRanker, "probabilities", watched)
    monkeypatch.setattr(candidates, "BLOCK_FLOATS", 1)
    for head, chance in pipeline.process_and_predict(*asked).items():
        np.testing.assert_allclose(chance, whole[head], rtol=1e-5)
    assert sizes == [1] * 5


def test_tracks_never_seen_keep_their_own_rows(
    pipeline: FeaturePipeline, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = []
    probabilities = DeepRanker.probabilities

    def watched(ranker: DeepRanker, inputs: RankingInputs) -> dict[str, FloatArray]:
        lists.append(inputs)
        return probabilities(ranker, inputs)

    monkeypatch.setattr(DeepRanker, "probabilities", watched)
    ids = ["new1", "t003", "new2", None]
    asked = completed(pl.DataFrame({"track_id": ids, "genres": [["cumbia"]] * 4}), TRACKS)
    pipeline.process_and_predict(listeners(2, first=899), asked)
    (inputs,) = lists
    rows = [
        hashed_index("new1", 90, 64),
        corpus.tracks.index("t003"),
        hashed_index("new2", 90, 64),
        hashed_index("", 90, 64),
    ]
    assert len(set(rows)) == 4
    assert inputs.track_index.tolist() == [rows, rows]
    assert inputs.user_index.tolist() == [-1, -1]
    popularity = inputs.features[0, :, 0]
    assert popularity[1] > 0
    assert not popularity[[0, 2, 3]].any()


def test_nobody_asking_gets_no_rows(pipeline: FeaturePipeline, corpus: Corpus) -> None:
    play = pipeline.process_and_predict(corpus.user_table.head(0), corpus.track_table.head(7))["play"]
    assert play.shape == (0, 7)


def test_unfitted_and_incomplete_input_are_refused(pipeline: FeaturePipeline) -> None:
    with pytest.raises(NotFittedError):
        FeaturePipeline().process_and_predict(listeners(1), planted_tracks())
    with pytest.raises(BadInputError, match="track_id"):
        pipeline.process_and_predict(listeners(1), planted_tracks().drop("track_id"))


def test_too_few_listeners_are_refused() -> None:
    events = events_table(pl.DataFrame({"user_id": ["u0"], "track_id": ["t000"]}))
    with pytest.raises(BadInputError, match="fewer than two"):
        FeaturePipeline().fit(build_corpus(events, planted_tracks(), listeners(1)))
