"""Evidence from real versions: trained on simulated days, published, loaded, asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.domain import Query
from audotics.errors import BadInputError, DamagedError
from audotics.lifecycle import evidence as evidence_room
from audotics.lifecycle.evidence import Evidence
from audotics.lifecycle.gates import GateLimits, judge
from audotics.lifecycle.held_out import Answering, ends_at, held_out_of
from audotics.recommender import bundle
from audotics.recommender.recommender import Recommender
from audotics.registry import Registry, VersionRecord
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.pipeline import TrainingPipeline
from audotics.training.publishing import publish
from contract.planted import planted_events, planted_tracks, planted_users
from contract.simulated_logs import simulated_log, write

QUICK = TrainConfig(
    retrievers=("item-knn", "content", "popularity"), rankers=("single", "linear"), tune_trials=0
)
LOG = simulated_log()
OLD_UNTIL = LOG.new_from - timedelta(days=6)
gather = partial(evidence_room.gather, n_sampled=25)
gather_from = partial(evidence_room.gather_from, n_sampled=25)
LIMITS = GateLimits(least_listeners=20)
"""The simulated service is small, so that its tests are quick."""


@dataclass(frozen=True)
class World:
    """A champion of last week, a challenger of yesterday, and the days since."""

    registry: Registry
    champion: str
    challenger: str
    in_memory: Recommender
    days: Dataset
    before: Dataset


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    registry = Registry(folder / "models")
    versions, trained = [], None
    for name, until in (("old", OLD_UNTIL), ("new", LOG.new_from)):
        events = LOG.events.filter(pl.col("timestamp") < until)
        dataset = write(folder / name, events, LOG.tracks, LOG.users)
        trained = TrainingPipeline(QUICK).train(dataset)
        versions.append(publish(trained, dataset, registry, name, Progress()))
    return World(registry, *versions, trained.recommender, LOG.whole(folder / "days"), dataset)


@pytest.fixture(scope="module")
def evidence(world: World) -> Evidence:
    return gather(world.registry, world.champion, world.challenger, world.days, in_memory=world.in_memory)


def refused(found: Evidence) -> set[str]:
    return {row.gate for row in judge(found, LIMITS).rows if not row.passed}


def test_a_fresh_challenger_passes_all_gates(evidence: Evidence) -> None:
    report = judge(evidence, LIMITS)
    assert report.passed, report.reasons
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["passed"]


def test_both_answer_the_same_listeners(evidence: Evidence, world: World) -> None:
    later = LOG.events.filter(pl.col("timestamp") >= LOG.new_from)
    assert evidence.test.n_listeners <= later["user_id"].n_unique()
    assert evidence.champion is not None
    assert evidence.champion.version == world.champion
    assert evidence.challenger.version == world.challenger
    for side in (evidence.champion, evidence.challenger):
        assert side.quality.metrics["ndcg@20"].n == evidence.test.n_listeners
        assert set(side.heads) == {"play", "complete", "like", "skip"}
        assert 0 < side.latency.p50_ms <= side.latency.p99_ms
        assert side.size_bytes == world.registry.show(side.version).size_bytes
    found = evidence.differences["ndcg@20"]
    ours, theirs = (side.quality.metrics["ndcg@20"].mean for side in (evidence.challenger, evidence.champion))
    assert found.difference == pytest.approx(ours - theirs)
    assert found.low < found.difference < found.high


def test_memory_and_files_give_the_same_scores(evidence: Evidence) -> None:
    assert evidence.skew.offline == "in memory"
    assert evidence.skew.n_lists == 25
    assert evidence.skew.score_difference < 1e-4
    assert evidence.skew.swapped == 0.0
    assert evidence.faults == ()


def test_the_held_out_days_follow_the_challengers_data(evidence: Evidence, world: World) -> None:
    ends = world.registry.show(world.challenger).dataset.ends_at
    explicit = gather(
        world.registry,
        world.champion,
        world.challenger,
        world.days,
        held_out_from=ends + timedelta(microseconds=1),
    )
    assert explicit.test == evidence.test
    assert explicit.differences == evidence.differences


def test_who_has_seen_the_held_out_days_is_refused(world: World) -> None:
    with pytest.raises(BadInputError, match="the challenger has learned from plays up to"):
        gather(world.registry, world.champion, world.challenger, world.days, held_out_from=OLD_UNTIL)
    with pytest.raises(BadInputError, match="the champion has learned from plays up to"):
        gather(world.registry, world.challenger, world.champion, world.days, held_out_from=OLD_UNTIL)


def test_the_judged_model_may_be_another_than_the_published_one(world: World) -> None:
    """Published: fitted on everything. Judged: the same training without the held-out days."""
    old = bundle.load(world.registry.folder(world.champion), world.champion)
    found = gather(world.registry, None, world.challenger, world.days, held_out_from=OLD_UNTIL, judged=old)
    assert found.challenger.version == world.challenger
    assert found.test.n_listeners > 0


def test_without_new_days_nothing_can_be_judged(world: World) -> None:
    with pytest.raises(BadInputError, match="0 events are held out"):
        gather(world.registry, world.champion, world.challenger, world.before)


def test_a_test_may_be_given(world: World) -> None:
    test = LOG.events.filter(pl.col("timestamp") >= LOG.new_from).select("user_id", "track_id")
    found = gather(world.registry, world.champion, world.challenger, world.before, test=test)
    assert judge(found, LIMITS).passed
    assert set(found.challenger.heads) == {"play"}, "of other reactions this test says nothing"


def test_a_first_version_needs_no_champion(world: World) -> None:
    found = gather(world.registry, None, world.challenger, world.days)
    assert found.champion is None and found.differences == {}
    assert judge(found, LIMITS).passed


def test_no_more_listeners_are_asked_than_wanted(world: World) -> None:
    few = held_out_of(world.days, after=LOG.new_from, most_listeners=30)
    assert len(few.user_ids) == 30
    assert few.user_ids == held_out_of(world.days, after=LOG.new_from, most_listeners=30).user_ids
    other = held_out_of(world.days, after=LOG.new_from, most_listeners=30, seed=1)
    assert few.user_ids != other.user_ids


def test_a_champion_is_judged_with_what_a_server_would_lay_over_it(world: World) -> None:
    champion = bundle.load(world.registry.folder(world.champion), world.champion)
    held_out = held_out_of(world.days, after=LOG.new_from)
    since = held_out.since(champion)
    learned_until = ends_at(champion)
    assert learned_until is not None and learned_until < OLD_UNTIL
    times = [reaction.at for reactions in since.values() for reaction in reactions]
    assert learned_until < min(times) and max(times) < LOG.new_from
    listener, reactions = next(iter(since.items()))
    played = {one.track_id for one in reactions if one.event == "complete"}
    asked = Answering(champion, Query().mode, since)
    alone = Answering(champion, Query().mode, {})
    assert not played & set(asked([listener], 100)[0])
    assert asked([listener], 20) != alone([listener], 20)
    challenger = bundle.load(world.registry.folder(world.challenger), world.challenger)
    n_news = sum(len(reactions) for reactions in held_out.since(challenger).values())
    assert n_news < len(times) / 100, "the challenger has learned from nearly all of it"


def test_untimed_data_needs_a_test(tmp_path: Path) -> None:
    dataset = write(tmp_path / "data", planted_events(), planted_tracks(), planted_users())
    with pytest.raises(BadInputError, match="either a time or a test"):
        held_out_of(dataset)


def republished(world: World, tmp_path: Path, change: Callable[[Path], None]) -> tuple[Registry, str]:
    """The challenger with changed files, published anew as if it had been trained so."""
    registry = Registry(tmp_path / "models")
    shutil.copytree(world.registry.models_dir, registry.models_dir)
    manifest = registry.show(world.challenger)
    with registry.stage() as staging:
        shutil.copytree(registry.folder(world.challenger), staging, dirs_exist_ok=True)
        (staging / "manifest.json").unlink()
        change(staging)
        record = VersionRecord(**{name: getattr(manifest, name) for name in VersionRecord.model_fields})
        return registry, registry.publish(staging, record)


def scores_turned_round(folder: Path) -> None:
    """Well-formed rubbish: what was good is bad."""
    for path in folder.rglob("ranker/**/weights.npy"):
        np.save(path, -np.load(path))


def neighbours_changed(folder: Path) -> None:
    """The server reads other likenesses of tracks than training did."""
    path = folder / "retrieval" / "item-knn" / "weights.npy"
    np.save(path, np.load(path) ** 2)


def test_rubbish_is_refused_for_its_quality(world: World, tmp_path: Path) -> None:
    registry, version = republished(world, tmp_path, scores_turned_round)
    found = gather(registry, world.champion, version, world.days)
    assert "quality" in refused(found)


def test_files_that_score_otherwise_than_memory_are_skew(world: World, tmp_path: Path) -> None:
    registry, version = republished(world, tmp_path, neighbours_changed)
    found = gather(registry, world.champion, version, world.days, in_memory=world.in_memory)
    assert found.skew.score_difference > 1e-3
    assert "skew" in refused(found)


def test_a_lost_fallback_is_a_fault(world: World, tmp_path: Path) -> None:
    def emptied(folder: Path) -> None:
        (folder / "fallback" / "popular.json").write_text("[]")

    registry, version = republished(world, tmp_path, emptied)
    found = gather(registry, world.champion, version, world.days)
    assert found.faults == ("the fallback list is empty",)
    assert refused(found) == {"schema"}


def test_lost_heads_are_a_fault(world: World, tmp_path: Path) -> None:
    def without_heads(folder: Path) -> None:
        shutil.rmtree(folder / "heads")
        settings = json.loads((folder / "recommender.json").read_text())
        settings["unheard"]["heads"] = False
        (folder / "recommender.json").write_text(json.dumps(settings))

    registry, version = republished(world, tmp_path, without_heads)
    (fault,) = gather(registry, world.champion, version, world.days).faults
    assert fault.startswith("heads complete, like, play, skip are gone")


def test_a_damaged_challenger_is_not_even_loaded(world: World, tmp_path: Path) -> None:
    registry, version = republished(world, tmp_path, lambda folder: None)
    (registry.folder(version) / "recommender.json").write_text("{}")
    with pytest.raises(DamagedError, match=r"recommender\.json"):
        gather(registry, world.champion, version, world.days)


def test_two_recommenders_in_memory_can_be_compared_directly(world: World) -> None:
    champion = bundle.load(world.registry.folder(world.champion))
    held_out = held_out_of(world.days, after=LOG.new_from)
    found = gather_from(champion, world.in_memory, held_out, in_memory=world.in_memory)
    assert found.challenger.size_bytes is None
    assert judge(found, LIMITS).passed


def test_lost_listeners_and_tracks_are_counted(world: World) -> None:
    """Judged backwards: the old version does not know who signed up since."""
    held_out = held_out_of(world.days, after=LOG.new_from)
    old = bundle.load(world.registry.folder(world.champion))
    found = gather_from(world.in_memory, old, held_out)
    gone = set(world.in_memory.users.ids) - set(old.users.ids)
    assert found.lost_listeners == pytest.approx(len(gone) / len(world.in_memory.users))
    assert gone
