from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from audotics.domain import Exposure
from audotics.errors import BadInputError
from audotics.experiments.definition import Experiment
from audotics.experiments.experiment_report import Verdict
from audotics.experiments.logged import preference_from_journal, report_from_journal
from audotics.journal import EventJournal, ExposureLog, JournalEvent, open_engine

START = datetime(2025, 3, 3, tzinfo=UTC)
N = 400


def experiment(**changes: object) -> Experiment:
    values = {
        "name": "try",
        "arms": [{"name": "a", "share": 5000}, {"name": "b", "share": 5000}],
        "created_at": START,
        "started_at": START,
    }
    return Experiment.model_validate(values | changes)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(f"sqlite:///{tmp_path / 'journal.sqlite'}")
    yield made
    made.dispose()


def write(engine: Engine, variants: list[str], completes: list[bool], teams: tuple[str, ...] = ()) -> None:
    """One answer for each listener on each of two days, with one event that names it."""
    log, journal = ExposureLog(engine), EventJournal(engine)
    events = []
    for i in range(N):
        for day in range(2):
            at = START + timedelta(days=day, minutes=i)
            log.record(
                Exposure(
                    request_id=f"r{i}-{day}",
                    user_id=f"u{i}",
                    at=at,
                    track_ids=("t1", "t2")[: len(teams) or 1],
                    scores=np.zeros(len(teams) or 1, np.float32),
                    propensities=np.ones(len(teams) or 1, np.float32),
                    model_version="v",
                    variant=variants[i],
                    teams=teams,
                )
            )
            events.append(
                JournalEvent(
                    event_id=f"e{i}-{day}",
                    user_id=f"u{i}",
                    track_id="t1",
                    at_us=int(at.timestamp() + 60) * 1_000_000,
                    event="complete" if completes[i] else "skip",
                    ms_played=60_000,
                    request_id=f"r{i}-{day}",
                )
            )
    journal.append(events)
    log.flush()
    log.close()


def test_a_report_comes_from_the_journal(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    completes = [bool(rng.random() < (0.3 if i % 2 else 0.7)) for i in range(N)]
    write(engine, ["try:a" if i % 2 else "other:x,try:b" for i in range(N)], completes)
    report = report_from_journal(engine, experiment(), START + timedelta(days=2))
    assert [arm.n_listeners for arm in report.arms] == [N // 2, N // 2]
    assert [arm.n_answers for arm in report.arms] == [N, N]
    found = report.comparisons[0]
    assert found.treatment_mean == pytest.approx(np.mean(completes[0::2]))
    assert found.verdict is Verdict.BETTER
    assert report.findings == ()


def test_an_empty_journal_is_said(engine: Engine) -> None:
    with pytest.raises(BadInputError, match="no listener was shown anything"):
        report_from_journal(engine, experiment(), START + timedelta(days=2))


def test_a_preference_comes_from_the_journal(engine: Engine) -> None:
    mixed = experiment(kind="interleaving")
    write(engine, ["try:interleaved"] * N, [i % 4 > 0 for i in range(N)], teams=("b", "a"))
    found = preference_from_journal(engine, mixed)
    # A skip is no vote; everybody who played played the track of b.
    assert found.n_listeners == N * 3 // 4
    assert found.mean == 1.0
    with pytest.raises(BadInputError, match="never started"):
        preference_from_journal(engine, experiment(kind="interleaving", started_at=None))
