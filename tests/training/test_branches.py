"""Heard and unheard tracks: a ranker for each, one list of both, and what a query may weigh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.domain import Mode, Query, Slate
from audotics.ranking.by_history import ByHistoryRanker
from audotics.recommender import bundle
from audotics.training.config import TrainConfig
from audotics.training.pipeline import Trained, TrainingPipeline
from contract.planted import GENRES, TRACKS_PER_GENRE, events_table, genre_of, planted_tracks, track_id

START = datetime(2026, 1, 1, tzinfo=UTC)
LOVED = 4


def events() -> pl.DataFrame:
    """Every other play is of a loved track, played to its end; the others are of the genre at large."""
    rng = np.random.default_rng(7)
    rows = []
    for user in range(90):
        first = TRACKS_PER_GENRE * (user % len(GENRES))
        loved = first + rng.choice(TRACKS_PER_GENRE, LOVED, replace=False)
        for play in range(40):
            track = int(rng.choice(loved) if play % 2 else first + rng.integers(TRACKS_PER_GENRE))
            at = START + timedelta(hours=6 * play, minutes=user)
            rows.append((f"u{user:03d}", track_id(track), at, "complete" if play % 2 else "play"))
    return events_table(pl.DataFrame(rows, ["user_id", "track_id", "timestamp", "event"], orient="row"))


def n_loved(slates: list[Slate], returning: Dataset) -> float:
    """How many of each listener's most played tracks are in the first places of the slates."""
    counts = returning.events().collect().group_by("user_id", "track_id").len()
    top = counts.sort("len", descending=True).group_by("user_id", maintain_order=True).head(LOVED)
    loved = {str(key[0]): set(part["track_id"]) for key, part in top.group_by("user_id")}
    return float(np.mean([len(set(slate.track_ids[:6]) & loved[slate.user_id or ""]) for slate in slates]))


@pytest.fixture(scope="module")
def returning(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with DatasetWriter(tmp_path_factory.mktemp("returning") / "dataset", source="returning") as writer:
        writer.add_events(events())
        writer.set_table("tracks", planted_tracks())
        return writer.commit()


@pytest.fixture(scope="module")
def trained(returning: Dataset) -> Trained:
    config = TrainConfig(
        retrievers=("favourites", "item-knn", "popularity"),
        rankers=("single", "linear"),
        tune_trials=1,
        per_retriever=60,
    )
    return TrainingPipeline(config).train(returning)


def asked(trained: Trained, **wishes: object) -> list[Slate]:
    users = [f"u{user:03d}" for user in range(0, 90, 9)]
    return trained.recommender.recommend([Query(user_id=user, k=10, **wishes) for user in users])


def heard_share(trained: Trained, slates: list[Slate]) -> float:
    histories, users, tracks = (
        trained.recommender.histories,
        trained.recommender.users,
        trained.recommender.tracks,
    )
    shares = []
    for slate in slates:
        row = histories.rows(users.indices([slate.user_id or ""])).track_index
        shares.append(np.isin(tracks.indices(slate.track_ids), row).mean())
    return float(np.mean(shares))


def test_each_kind_of_track_has_its_branch(trained: Trained) -> None:
    assert trained.recommender.heard is not None
    assert trained.heard_standings
    names = [retriever.name for retriever in trained.recommender.retrievers]
    assert names == ["item-knn", "popularity", "favourites"]


def test_modes_keep_to_their_kind(trained: Trained) -> None:
    assert heard_share(trained, asked(trained, mode=Mode.DISCOVER)) == 0.0
    assert heard_share(trained, asked(trained, mode=Mode.FAMILIAR)) == 1.0
    assert 0.0 < heard_share(trained, asked(trained, mode=Mode.MIX)) < 1.0


def test_the_ends_of_the_dial_are_the_modes(trained: Trained) -> None:
    for dial, mode in ((0.0, Mode.DISCOVER), (1.0, Mode.FAMILIAR)):
        turned, plain = asked(trained, familiarity=dial), asked(trained, mode=mode)
        assert [slate.track_ids for slate in turned] == [slate.track_ids for slate in plain]


def test_turning_the_dial_brings_more_of_what_was_heard(trained: Trained) -> None:
    shares = [heard_share(trained, asked(trained, familiarity=dial)) for dial in (0.02, 0.3, 0.5, 0.7, 0.98)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_dials_of_one_batch_do_not_touch_each_other(trained: Trained) -> None:
    queries = [Query(user_id="u000", k=10, familiarity=dial) for dial in (0.0, 0.5, 1.0)]
    together = trained.recommender.recommend(queries)
    for slate, query in zip(together, queries, strict=True):
        (alone,) = trained.recommender.recommend([query])
        assert set(slate.track_ids) == set(alone.track_ids)


def test_loved_tracks_come_back(trained: Trained, returning: Dataset) -> None:
    assert n_loved(asked(trained, familiarity=1.0), returning) > 0.7 * LOVED


def test_reactions_weigh_as_much_as_a_query_says(trained: Trained, returning: Dataset) -> None:
    against = asked(trained, mode=Mode.FAMILIAR, weights={"complete": -5.0})
    plain = asked(trained, mode=Mode.FAMILIAR)
    assert n_loved(against, returning) < n_loved(plain, returning)


def test_newcomers_have_rankers_of_their_own(trained: Trained) -> None:
    ranker = trained.recommender.unheard.ranker
    assert isinstance(ranker, ByHistoryRanker)
    assert trained.newcomer_standings[0].name == ranker.many.name
    (popular, one_play) = trained.recommender.recommend(
        [Query(history=(), k=10), Query(history=(track_id(3),), k=10)]
    )
    assert len(popular.track_ids) == 10
    assert np.mean([genre_of(track) == genre_of(track_id(3)) for track in one_play.track_ids]) > 0.7


def test_saved_and_loaded_both_branches_answer_the_same(trained: Trained, tmp_path: Path) -> None:
    bundle.save(trained.recommender, tmp_path)
    again = bundle.load(tmp_path)
    queries = [Query(user_id="u004", k=10, mode=mode, surface="focus") for mode in Mode]
    for one, other in zip(trained.recommender.recommend(queries), again.recommend(queries), strict=True):
        assert one.track_ids == other.track_ids
        assert one.sources == other.sources
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
