"""Training for data where listeners come back to tracks, from the Dataset to the published version."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.domain import Mode, Query
from audotics.evaluation.baselines import OWN_MOST_PLAYED
from audotics.evaluation.report import Task
from audotics.evaluation.segments import Segment
from audotics.recommender import bundle
from audotics.registry import Registry
from audotics.telemetry import Progress
from audotics.training.assessment import assess
from audotics.training.config import TrainConfig
from audotics.training.judging import HYBRID
from audotics.training.pipeline import Trained, TrainingPipeline
from audotics.training.publishing import REPORT, load_report, load_version, publish
from contract.planted import GENRES, TRACKS_PER_GENRE, events_table, genre_of, planted_tracks, track_id

START = datetime(2026, 1, 1, tzinfo=UTC)
N_LISTENERS, N_PLAYS = 60, 40
LOVED = 4
"""Tracks of their genre that a listener comes back to in half of the plays."""

QUICK = TrainConfig(
    retrievers=("favourites", "item-knn", "popularity"),
    rankers=("mean", "linear"),
    tune_trials=1,
    per_retriever=30,
    include_heard=True,
)


def returning_events() -> pl.DataFrame:
    """A play every six hours; every other one is of a loved track, the others of the genre at large."""
    rng = np.random.default_rng(7)
    users, tracks, times, kinds = [], [], [], []
    for user in range(N_LISTENERS):
        first = TRACKS_PER_GENRE * (user % len(GENRES))
        loved = first + rng.choice(TRACKS_PER_GENRE, LOVED, replace=False)
        for play in range(N_PLAYS):
            track = rng.choice(loved) if play % 2 else first + rng.integers(TRACKS_PER_GENRE)
            users.append(f"u{user:03d}")
            tracks.append(track_id(int(track)))
            times.append(START + timedelta(hours=6 * play, minutes=user))
            kinds.append("skip" if play % 10 == 0 else "complete" if play % 4 == 1 else "play")
    return events_table(
        pl.DataFrame({"user_id": users, "track_id": tracks, "timestamp": times, "event": kinds})
    )


def loved_by(events: pl.DataFrame) -> dict[str, set[str]]:
    """The tracks that each listener played most."""
    counts = events.group_by("user_id", "track_id").len().sort("len", "track_id", descending=True)
    top = counts.group_by("user_id", maintain_order=True).head(LOVED)
    return {str(key[0]): set(part["track_id"]) for key, part in top.group_by("user_id")}


@pytest.fixture(scope="module")
def returning(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with DatasetWriter(tmp_path_factory.mktemp("returning") / "dataset", source="returning") as writer:
        writer.add_events(returning_events())
        writer.set_table("tracks", planted_tracks())
        return writer.commit()


@pytest.fixture(scope="module")
def progress() -> Progress:
    return Progress()


@pytest.fixture(scope="module")
def listened(returning: Dataset, progress: Progress) -> Trained:
    return TrainingPipeline(QUICK, progress).train(returning)


@pytest.fixture(scope="module")
def registry(
    listened: Trained, returning: Dataset, progress: Progress, tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    made = Registry(tmp_path_factory.mktemp("published") / "models")
    publish(listened, returning, made, "returning", progress)
    return made


def test_timed_data_is_split_at_a_moment(listened: Trained) -> None:
    # 40 plays a listener over ten days, the last 15 % of them hidden.
    assert "time" in listened.holdout.lower()
    assert listened.report.test.n_pairs <= 0.16 * N_LISTENERS * 6


def test_repeats_are_part_of_what_is_judged(listened: Trained) -> None:
    test = listened.report.test
    assert test.task is Task.MIX
    assert test.n_heard_dropped == 0
    segments = {found.segment: found for found in listened.report.system(HYBRID).segments}
    assert segments[Segment.REPEATS].n_pairs > 0
    assert segments[Segment.DISCOVERIES].n_pairs > 0
    assert segments[Segment.REPEATS].n_pairs + segments[Segment.DISCOVERIES].n_pairs == test.n_pairs


def test_the_parts_of_the_listeners_and_of_the_pairs_add_up(listened: Trained) -> None:
    test = listened.report.test
    for system in listened.report.systems:
        by_activity = [found for found in system.segments if found.segment.endswith("listeners")]
        assert sum(found.n_listeners for found in by_activity) == test.n_listeners
        assert sum(found.n_pairs for found in by_activity) == test.n_pairs
        for found in system.segments:
            assert set(found.metrics) == {"ndcg@20", "recall@20", "hit_rate@20"}
            assert 0 <= found.metrics["ndcg@20"].mean <= 1


def test_repeats_are_found_far_more_often_than_by_popularity(listened: Trained) -> None:
    def repeats(name: str) -> float:
        (found,) = (s for s in listened.report.system(name).segments if s.segment is Segment.REPEATS)
        return found.metrics["ndcg@20"].mean

    assert repeats(HYBRID) > 1.5 * repeats("popularity")
    assert repeats("favourites") > 1.5 * repeats("popularity")


def test_a_mixed_slate_brings_back_what_is_loved(listened: Trained) -> None:
    loved = loved_by(returning_events())
    slates = listened.recommender.recommend([Query(user_id=user, k=10, mode=Mode.MIX) for user in loved])
    shares = [len(loved[slate.user_id or ""] & set(slate.track_ids)) / LOVED for slate in slates]
    assert np.mean(shares) > 0.65
    reasons = {reason for slate in slates for reason in slate.reasons}
    assert "you have played this" in reasons


def test_the_same_version_keeps_to_the_mode_of_each_query(listened: Trained) -> None:
    events = returning_events().filter(pl.col("event") != "skip")
    heard = set(events.filter(pl.col("user_id") == "u000")["track_id"])
    modes = (Mode.DISCOVER, Mode.FAMILIAR, Mode.MIX)
    new, old, mixed = listened.recommender.recommend([Query("u000", k=15, mode=mode) for mode in modes])
    assert not set(new.track_ids) & heard
    assert set(old.track_ids) <= heard
    assert set(mixed.track_ids) & heard
    assert "you have played this" not in new.reasons


def test_new_tracks_are_still_of_the_listeners_genre(listened: Trained) -> None:
    queries = [Query(f"u{user:03d}", k=5) for user in range(12)]
    for user, slate in enumerate(listened.recommender.recommend(queries)):
        shown = [genre_of(track) for track in slate.track_ids]
        assert shown.count(GENRES[user % len(GENRES)]) >= 4


@pytest.mark.parametrize("include_heard", [False, True])
def test_favourites_take_part_only_where_heard_tracks_may(returning: Dataset, include_heard: bool) -> None:
    config = TrainConfig(rankers=("mean",), tune_trials=0, include_heard=include_heard)
    recommender = TrainingPipeline(config).train(returning).recommender
    names = {retriever.name for retriever in recommender.unheard.generator.retrievers}
    assert ("favourites" in names) == include_heard
    assert (recommender.heard is None) == include_heard
    assert "favourites" in {retriever.name for retriever in recommender.retrievers}


def test_the_stored_report_is_the_one_of_training(listened: Trained, registry: Registry) -> None:
    assert load_report(registry) == listened.report
    text = (registry.folder("latest") / REPORT).read_text(encoding="utf-8")
    assert type(listened.report).model_validate_json(text) == listened.report


def test_the_manifest_tells_what_the_version_is(
    listened: Trained, returning: Dataset, registry: Registry
) -> None:
    manifest = registry.show("champion")
    assert manifest.config["train"]["include_heard"] is True
    assert set(manifest.config["retrievers"]) == {"favourites", "item-knn", "popularity"}
    assert (manifest.dataset.starts_at, manifest.dataset.ends_at) == returning.manifest.time_range
    assert manifest.seeds == {"train": QUICK.seed}
    assert manifest.metrics["holdout"] == listened.holdout
    assert manifest.metrics["left_out"] == {}
    judged = listened.report.system(HYBRID).metrics["ndcg@20"]
    assert manifest.metrics["judges"]["ndcg@20"] == judged.model_dump()


def test_the_manifest_tells_the_contest_and_the_stages(
    listened: Trained, registry: Registry, progress: Progress
) -> None:
    manifest = registry.show("champion")
    contest = manifest.metrics["contest"]
    assert [standing["name"] for standing in contest] == ["mean", "linear"]
    (chosen,) = (standing["name"] for standing in contest if standing["chosen"])
    assert chosen == manifest.config["ranker"] == listened.recommender.unheard.ranker.many.name
    told = [record.name for record in manifest.timings]
    assert told[0] == "read and hide"
    assert "judge on listeners that took no part" in told
    assert told == [record.name for record in progress.records][: len(told)]
    assert {"python", "numpy", "polars"} <= set(manifest.environment)


def test_a_loaded_version_mixes_as_the_trained_one(listened: Trained, registry: Registry) -> None:
    loaded = load_version(registry)
    assert loaded.model_version == registry.alias("champion")
    queries = [Query(f"u{user:03d}", k=8, mode=mode) for user in range(8) for mode in Mode]
    for before, after in zip(listened.recommender.recommend(queries), loaded.recommend(queries), strict=True):
        assert before.track_ids == after.track_ids
        assert before.reasons == after.reasons


def test_the_fallback_lists_what_most_listeners_heard(listened: Trained, tmp_path: Path) -> None:
    bundle.save(listened.recommender, tmp_path)
    popular = json.loads((tmp_path / "fallback" / "popular.json").read_text(encoding="utf-8"))
    events = returning_events().filter(pl.col("event") != "skip")
    listeners = dict(events.group_by("track_id").agg(pl.col("user_id").n_unique()).iter_rows())
    counts = [listeners.get(track, 0) for track in popular]
    assert counts == sorted(counts, reverse=True)
    assert set(popular) == set(listened.recommender.tracks.ids)


@pytest.mark.parametrize("task", list(Task))
def test_a_given_test_is_asked_as_it_is_told(listened: Trained, returning: Dataset, task: Task) -> None:
    loved = loved_by(returning_events())
    unheard = {user: f"t{(int(user[1:]) % 3) * 30 + 29:03d}" for user in loved}
    rows = [(user, track) for user, tracks in loved.items() for track in (*tracks, unheard[user])]
    test = pl.DataFrame(rows, schema=["user_id", "track_id"], orient="row").unique()
    told = Progress()
    report = assess(listened.recommender, returning, test, baselines=False, task=task, progress=told)
    beside = [] if task is Task.DISCOVER else [OWN_MOST_PLAYED]
    assert [system.name for system in report.systems] == [HYBRID, *beside]
    dropped = report.test.n_heard_dropped, report.test.n_unheard_dropped
    assert report.test.n_pairs + sum(dropped) == test.height
    assert [n > 0 for n in dropped] == [task is Task.DISCOVER, task is Task.FAMILIAR]
    assert (report.reference.metrics["recall@20"].mean > 0.6) or task is Task.DISCOVER
    assert report.reference.catalogue["repeat_share@20"] == pytest.approx(
        {Task.DISCOVER: 0, Task.FAMILIAR: 1, Task.MIX: 0.5}[task], abs=0.4 if task is Task.MIX else 0
    )
    assert [record.name for record in told.records] == [f"ask {HYBRID}", "ask for new listeners"]
    assert bool(report.newcomers) == (task is not Task.FAMILIAR)


def test_own_most_played_is_hard_to_beat_where_listeners_come_back(listened: Trained) -> None:
    own = listened.report.system(OWN_MOST_PLAYED)
    assert own.catalogue["repeat_share@20"] == 1
    repeats = {found.segment: found.metrics["ndcg@20"].mean for found in own.segments}
    assert repeats[Segment.REPEATS] > 0.4
    assert repeats[Segment.DISCOVERIES] == 0
