"""Experiments in both real databases: their life and its record, writers at once, a database away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from audotics.errors import AudoticsError, BadInputError, DamagedError, RefusedError, UnavailableError
from audotics.experiments.assignment import Asker, Holdout
from audotics.experiments.definition import Definition, State
from audotics.experiments.store import ExperimentStore
from audotics.experiments.tables import changes, experiments, prepare_experiments
from audotics.journal.engine import open_engine, reading, writing

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARMS = [{"name": "control", "share": 100}, {"name": "new", "share": 100}]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/journal.db"
    else:
        url = request.getfixturevalue("postgresql")
    engine = open_engine(url, timeout_s=10)
    prepare_experiments(engine)
    yield engine
    engine.dispose()


class _Clock:
    """One hour later each time that somebody asks."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


@pytest.fixture
def store(engine: Engine) -> ExperimentStore:
    return ExperimentStore(engine, "eve", _Clock())


def definition(name: str = "ranker", **more: Any) -> Definition:
    return Definition.parse({"name": name, "arms": ARMS, **more})


def test_a_whole_life(store: ExperimentStore) -> None:
    assert store.create(definition(), "try it").state is State.DRAFT
    assert not store.snapshot().assignment().experiments
    running = store.start("ranker", reason="go")
    assert running.running
    assert running.buckets == {"control": ((0, 100),), "new": ((100, 200),)}
    grown = store.change_shares("ranker", {"control": 5000, "new": 5000}, "ramp up")
    assert [change.shares["new"] for change in grown.changes] == [100, 5000]
    assert grown.changes[0].at < grown.changes[1].at
    assert store.snapshot().assignment().of(Asker("anna")).variant in {"ranker:control", "ranker:new"}
    ended = store.stop("ranker", "enough")
    assert (ended.state, ended.stop_reason) == (State.STOPPED, "enough")
    assert store.note_promotion("ranker", "new", "it won").promoted == "new"
    assert store.get("ranker").promoted == "new"
    record = store.history("ranker")
    assert [(one.action, one.reason) for one in record] == [
        ("create", "try it"),
        ("start", "go"),
        ("shares", "ramp up"),
        ("stop", "enough"),
        ("promote", "it won"),
    ]
    assert {one.actor for one in record} == {"eve"}
    assert [one.seq for one in record] == sorted(one.seq for one in record)
    assert [one.at for one in record] == sorted(one.at for one in record)
    assert store.revision() == record[-1].seq == store.snapshot().revision


def test_nothing_happens_out_of_turn(store: ExperimentStore) -> None:
    store.create(definition())
    with pytest.raises(BadInputError, match="there is an experiment of this name"):
        store.create(definition())
    for step in (lambda: store.stop("ranker"), lambda: store.change_shares("ranker", {"new": 5})):
        with pytest.raises(RefusedError, match="it is draft"):
            step()
    store.start("ranker")
    with pytest.raises(RefusedError, match="it is running; only one that is draft can be started"):
        store.start("ranker")
    with pytest.raises(BadInputError, match="has no arm 'old'"):
        store.change_shares("ranker", {"old": 5})
    with pytest.raises(BadInputError, match="exceed 10000"):
        store.change_shares("ranker", {"new": 9950})
    with pytest.raises(BadInputError, match="there is no experiment 'none'"):
        store.start("none")
    with pytest.raises(BadInputError, match="there is no experiment ''"):
        store.get("")
    assert [one.action for one in store.history("ranker")] == ["create", "start"]


def test_models_are_pinned_when_it_starts(store: ExperimentStore) -> None:
    versions = {"champion": "v1", "challenger": "v2"}
    store.create(definition(arms=[ARMS[0], {**ARMS[1], "model": "challenger"}]))
    running = store.start("ranker", lambda model: versions[model])
    assert [arm.model for arm in running.arms] == ["v1", "v2"]
    store.create(definition("rules", layer="rules", arms=[ARMS[0], {**ARMS[1], "rules": {"artist_cap": 2}}]))
    assert [arm.model for arm in store.start("rules", lambda model: versions[model]).arms] == [None, None]


CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({}, "slots 0 to 10000 of layer 'default', which overlap"),
    ({"layer": "other"}, "changes the model, too"),
    ({"slots": (5000, 10_000), "layer": "other", "salt": "first", "arms": ARMS}, "has the same salt"),
]


@pytest.mark.parametrize(("fields", "words"), CONFLICTS, ids=[words for _, words in CONFLICTS])
def test_what_cannot_run_at_once(store: ExperimentStore, fields: dict[str, Any], words: str) -> None:
    arms = [ARMS[0], {**ARMS[1], "model": "challenger"}]
    store.create(definition("first", arms=arms))
    store.create(definition("second", **{"arms": arms, **fields}))
    store.start("first")
    with pytest.raises(RefusedError, match=words):
        store.start("second")
    store.stop("first")
    assert store.start("second").running


def test_slots_apart_let_two_run(store: ExperimentStore) -> None:
    for name, slots in (("first", (0, 4000)), ("second", (4000, 10_000))):
        store.create(definition(name, slots=slots))
        store.start(name)
    assert [one.name for one in store.snapshot().assignment().experiments] == ["first", "second"]


def test_writers_at_once_lose_nothing(engine: Engine, store: ExperimentStore) -> None:
    store.create(definition())
    store.start("ranker")

    def grow(number: int) -> str:
        arm = "control" if number % 2 else "new"
        try:
            ExperimentStore(engine, f"writer-{number}").change_shares("ranker", {arm: 1000 + number})
        except AudoticsError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(grow, range(16))) == {""}
    found = store.get("ranker")
    assert len(found.changes) == 17
    assert len(store.history("ranker")) == 18
    assert sum(end - first for first, end in found.buckets["new"]) == found.arm("new").share


def test_only_one_of_two_starts_wins(engine: Engine, store: ExperimentStore) -> None:
    store.create(definition("first"))
    store.create(definition("second"))

    def start(name: str) -> bool:
        try:
            return ExperimentStore(engine).start(name).running
        except RefusedError:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(start, ["first", "second"])) == [False, True]


def test_the_holdout_is_kept_and_on_record(store: ExperimentStore) -> None:
    assert store.snapshot().holdout == Holdout()
    store.set_holdout(Holdout(share=100), "a yardstick")
    store.set_holdout(Holdout(share=200))
    snapshot = store.snapshot()
    assert snapshot.holdout.share == 200
    assert snapshot.experiments == ()
    assert [one.reason for one in store.history("")] == ["a yardstick", ""]


def test_an_erased_tester_is_in_no_table(engine: Engine, store: ExperimentStore) -> None:
    store.create(definition(overrides={"anna-of-the-testers": "new", "bob": "new"}))
    store.forget("anna-of-the-testers")
    store.forget("nobody")
    assert store.get("ranker").overrides == {"bob": "new"}
    with reading(engine) as connection:
        rows = [*connection.execute(select(experiments)), *connection.execute(select(changes))]
    assert not any("anna" in str(row) for row in rows)
    assert [one.action for one in store.history("ranker")] == ["create", "erase"]


def test_what_another_audotics_wrote_is_named_damaged(engine: Engine, store: ExperimentStore) -> None:
    with writing(engine) as connection:
        connection.execute(insert(experiments).values(name="x", document=json.dumps({"name": "x"})))
    with pytest.raises(DamagedError, match="an experiment cannot be read"):
        store.snapshot()


def test_preparing_again_changes_nothing(engine: Engine, store: ExperimentStore) -> None:
    store.create(definition())
    prepare_experiments(engine)
    assert store.get("ranker").name == "ranker"


def test_a_database_that_is_away_is_told(postgresql: str, postgresql_server: Any) -> None:
    engine = open_engine(postgresql, timeout_s=1)
    prepare_experiments(engine)
    store = ExperimentStore(engine)
    postgresql_server.stop()
    try:
        with pytest.raises(UnavailableError):
            store.snapshot()
    finally:
        postgresql_server.start()
    assert store.snapshot().revision == 0
    engine.dispose()
