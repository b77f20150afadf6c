"""`audotics experiment report` and `plan`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from audotics.domain import Exposure
from audotics.experiments.definition import Definition
from audotics.experiments.store import ExperimentStore
from audotics.experiments.tables import prepare_experiments
from audotics.journal import EventJournal, ExposureLog, JournalEvent, open_engine
from contract.workplace import Audotics, Outcome

N = 300


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


@pytest.fixture
def run(audotics: Audotics, database: str) -> Callable[..., Outcome]:
    return lambda *arguments: audotics("experiment", *arguments, "--database", database)


def fill(database: str, metrics: list[dict[str, object]], share_finished: tuple[float, float]) -> None:
    """An experiment that began two hours ago and what it showed; arms differ in what listeners finish."""
    engine = open_engine(database)
    prepare_experiments(engine)
    began = datetime.now(UTC) - timedelta(hours=2)
    store = ExperimentStore(engine, clock=lambda: began)
    arms = [{"name": "a", "share": 5000}, {"name": "b", "share": 5000}]
    store.create(Definition.parse({"name": "try", "arms": arms, "metrics": metrics}))
    store.start("try")
    log, journal, rng = ExposureLog(engine), EventJournal(engine), np.random.default_rng(0)
    events = []
    for i in range(N):
        at = began + timedelta(seconds=10 * i)
        nothing = np.zeros(1, np.float32)
        arm = i % 2
        log.record(Exposure(f"r{i}", f"u{i}", at, ("t",), nothing, nothing + 1, "v", f"try:{'ab'[arm]}"))
        event = "complete" if rng.random() < share_finished[arm] else "skip"
        at_us = int((at.timestamp() + 1) * 1_000_000)
        events.append(JournalEvent(f"e{i}", f"u{i}", "t", at_us, event=event, request_id=f"r{i}"))
    journal.append(events)
    log.flush()
    log.close()
    engine.dispose()


METRICS: list[dict[str, object]] = [
    {"name": "completion", "role": "primary"},
    {"name": "skip", "role": "guardrail", "margin": 0.05},
]


def test_a_report_is_shown_printed_and_written(run, database: str, tmp_path: Path) -> None:
    fill(database, METRICS, (0.3, 0.8))
    page = tmp_path / "report.html"
    shown = run("report", "try", "--html", page)
    assert shown.code == 0
    assert "b is better in completion" in shown.out
    assert page.read_text().startswith("<!doctype html>")
    told = json.loads(run("report", "try", "--json").out)
    assert [arm["n_listeners"] for arm in told["arms"]] == [N // 2, N // 2]
    assert told["comparisons"][0]["verdict"] == "better"


def test_a_breached_guardrail_is_an_exit_code(run, database: str) -> None:
    fill(database, METRICS, (0.8, 0.2))
    found = run("report", "try", "--planned-listeners", "300")
    assert found.code == 3
    assert "Stop: b makes skip worse" in found.out


def test_unknown_experiments_and_metrics_are_refused(run) -> None:
    unknown = run("report", "nothing")
    assert unknown.code == 2
    assert "nothing" in unknown.err
    metric = run("plan", "happiness")
    assert metric.code == 2
    assert "Metrics are completion, skip" in metric.err


def test_a_page_that_cannot_be_written_is_refused_before_the_work(run, tmp_path: Path) -> None:
    found = run("report", "try", "--html", tmp_path / "missing" / "page.html")
    assert found.code == 2
    assert "folder does not exist" in found.err


def test_planning_needs_history(run) -> None:
    found = run("plan", "completion")
    assert found.code == 2
    assert "no history" in found.err


def test_plans_come_from_a_dataset(run, audotics: Audotics, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = audotics("simulate", "--out", folder, "--users", "300", "--tracks", "100", "--days", "30")
    assert made.code == 0
    shown = run("plan", "completion", "--effect", "0.05", "--dataset", folder)
    assert shown.code == 0
    assert "14 days" in shown.out
    runs = json.loads(run("plan", "diversity", "--dataset", folder, "--json").out)
    assert [one["n_days"] for one in runs] == [3, 7, 14, 21, 28]
    assert runs[0]["needed"] is None
