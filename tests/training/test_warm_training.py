"""Training that begins with an earlier version: what it may know, and where it helps."""

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import build_corpus
from audotics.data.dataset import Dataset
from audotics.ranking.vectors import EarlierVectors
from audotics.retrieval.protocol import Retriever
from audotics.training import warm_start
from audotics.training.config import TrainConfig
from audotics.training.pipeline import Trained, TrainingPipeline
from audotics.training.preparation import hidden_fold
from audotics.training.warm_start import WarmStart
from contract.aging import day, events_of, write_days

SETTINGS = TrainConfig(
    retrievers=("popularity", "ials"),
    settings={"popularity": {}, "ials": {"rank": 16}},
    rankers=("single", "mean"),
    per_retriever=30,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_days(tmp_path_factory.mktemp("days") / "days", 0, 20)


@pytest.fixture(scope="module")
def before(dataset: Dataset) -> Trained:
    return TrainingPipeline(SETTINGS).train(dataset.before(day(16)))


@pytest.fixture
def warm(before: Trained) -> WarmStart:
    return WarmStart.of(before.recommender, day(16))


def test_enough_news_are_what_is_hidden_and_too_few_are_not(
    dataset: Dataset, warm: WarmStart, monkeypatch: pytest.MonkeyPatch
):
    assert warm.hide_since(dataset) is None
    monkeypatch.setattr(warm_start, "LEAST_TAUGHT", 20)
    since = warm.hide_since(dataset)
    assert since is not None
    assert since > day(16)

    fold = hidden_fold(dataset, SETTINGS, since)

    assert fold.hidden["timestamp"].min() >= since
    known = fold.visible.events["timestamp"].max()
    assert known is not None
    assert known < since
    assert "2026-03-18" in fold.description


def factors(retrievers: Iterable[Retriever]) -> np.ndarray:
    return next(one.arrays()["track_factors"] for one in retrievers if one.name == "ials")


def test_only_the_final_fit_is_warm_where_hidden_events_are_known(
    dataset: Dataset, before: Trained, warm: WarmStart, monkeypatch: pytest.MonkeyPatch
):
    cold = TrainingPipeline(SETTINGS).train(dataset)
    started = TrainingPipeline(SETTINGS).train(dataset, warm)

    def learned(trained: Trained) -> np.ndarray:
        return next(
            one for one in trained.learned.branch.generator.retrievers if one.name == "ials"
        ).arrays()["track_factors"]

    np.testing.assert_array_equal(learned(cold), learned(started))
    served = [
        next(one for one in trained.recommender.retrievers if one.name == "ials").arrays()["track_factors"]
        for trained in (cold, started)
    ]
    assert not np.array_equal(*served)
    monkeypatch.setattr(warm_start, "LEAST_TAUGHT", 20)
    honest = TrainingPipeline(SETTINGS).train(dataset, warm)
    assert honest.holdout != cold.holdout
    assert not np.array_equal(learned(honest), learned(cold))


def test_listeners_of_a_deep_ranker_start_at_their_rows_or_at_the_mean_of_their_tracks(
    before: Trained, warm: WarmStart
):
    recommender = before.recommender
    rng = np.random.default_rng(0)
    tracks = rng.normal(size=(len(recommender.tracks), 4)).astype(np.float32)
    users = rng.normal(size=(len(recommender.users), 4)).astype(np.float32)
    known = WarmStart(warm.users, warm.tracks, {}, EarlierVectors(users, tracks), day(16))
    heard = events_of(16, 17).head(3).with_columns(user_id=pl.lit("brand-new"), event=pl.lit("play"))
    heard = heard.filter(pl.col("track_id").is_in(list(recommender.tracks.ids)))
    corpus = build_corpus(
        pl.concat([events_of(0, 16), heard]),
        recommender.track_table,
        pl.DataFrame(schema={"user_id": pl.String}),
    )

    start = known.into(corpus).vectors()

    assert start is not None
    old = warm.users.ids[0]
    np.testing.assert_array_equal(start.users[corpus.users.index(old)], users[0])
    new = corpus.users.index("brand-new")
    mean = tracks[recommender.tracks.indices(heard["track_id"].unique().to_list())].mean(axis=0)
    cosine = start.users[new] @ mean / np.linalg.norm(start.users[new]) / np.linalg.norm(mean)
    assert cosine == pytest.approx(1, abs=1e-5)
    assert start.users_told.all()
    assert np.linalg.norm(start.users, axis=1).mean() == pytest.approx(
        np.linalg.norm(users, axis=1).mean(), rel=0.2
    ), "means are short, listeners are not"
    assert WarmStart(warm.users, warm.tracks, {}, None, datetime.now(UTC)).into(corpus).vectors() is None
