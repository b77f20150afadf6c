"""Triggers say why to retrain; a watch heeds them, survives errors and ends between steps."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Engine

from audotics.errors import BadInputError, UnavailableError
from audotics.journal.events import EventJournal
from audotics.lifecycle.lease import HeldError, Lease
from audotics.lifecycle.reports import ReportFolder, RetrainReport
from audotics.lifecycle.retraining import RetrainSettings
from audotics.lifecycle.runs import Installation, StoppedError
from audotics.lifecycle.triggers import Every, NewEvents, OlderThan, Situation, Trigger, When
from audotics.lifecycle.watch import Watch
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from contract.aging import LENIENT, day, events_of, journal_events, post_days

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def situation(**changes: object) -> Situation:
    usual = {
        "now": NOW,
        "champion_at": NOW - timedelta(days=3),
        "last_ended_at": NOW - timedelta(hours=5),
        "n_new_events": 100,
    }
    return Situation(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trigger", "now", "reason"),
    [
        (Every(5), situation(), "5 hours have passed"),
        (Every(6), situation(), ""),
        (Every(71), situation(last_ended_at=None), "71 hours have passed"),
        (Every(73), situation(last_ended_at=None), ""),
        (OlderThan(3), situation(), "the champion is 3.0 days old"),
        (OlderThan(3.1), situation(), ""),
        (NewEvents(100), situation(), "100 new events"),
        (NewEvents(101), situation(), ""),
        (When(lambda: "hours drifted"), situation(), "hours drifted"),
        (When(lambda: "hours drifted"), situation(n_new_events=0), ""),
    ],
)
def test_triggers(trigger: Trigger, now: Situation, reason: str):
    assert trigger(now) == reason


class Attempts:
    """Retrains nothing, remembers why it was asked, and ends as it is told."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.reasons: list[str] = []
        self._ends = list(ends)

    def __call__(self, reason: str) -> RetrainReport:
        self.reasons.append(reason)
        end = self._ends.pop(0) if self._ends else None
        if end is not None:
            raise end
        now = datetime.now(UTC)
        return RetrainReport(outcome="nothing", champion="v", trigger=reason, started_at=now, finished_at=now)


def watch(attempts: Attempts, *triggers: Trigger, pause_h: float = 0.0, **now: object) -> Watch:
    return Watch(
        attempts,
        lambda: situation(**{"now": datetime.now(UTC), **now}),
        triggers,
        stop=threading.Event(),
        poll_s=0.01,
        pause=timedelta(hours=pause_h),
    )


def test_the_first_trigger_with_a_reason_decides():
    attempts = Attempts()

    report = watch(attempts, NewEvents(1000), NewEvents(10), Every(1)).look()

    assert attempts.reasons == ["100 new events"]
    assert report is not None
    assert watch(attempts, NewEvents(1000)).look() is None


def test_after_an_attempt_there_is_a_pause_even_if_the_reason_stays():
    attempts = Attempts()
    watching = watch(attempts, NewEvents(10), pause_h=0.05)

    watching.look()
    watching.look()

    assert len(attempts.reasons) == 1


def test_a_schedule_counts_from_the_last_attempt_of_this_watch_too():
    attempts = Attempts()
    watching = watch(attempts, Every(1), last_ended_at=None)

    watching.look()
    watching.look()

    assert len(attempts.reasons) == 1


@pytest.mark.parametrize("error", [UnavailableError("away"), BadInputError("bad"), HeldError("held")])
def test_an_error_ends_an_attempt_not_the_watch(error: Exception):
    attempts = Attempts(error)
    watching = watch(attempts, NewEvents(10))

    assert watching.look() is None
    assert watching.look() is not None


def test_a_stopped_attempt_is_no_error_and_a_bug_is_not_hidden():
    assert watch(Attempts(StoppedError("ended")), NewEvents(1)).look() is None
    with pytest.raises(ZeroDivisionError):
        watch(Attempts(ZeroDivisionError()), NewEvents(1)).look()


def test_an_installation_retrains_through_the_real_gates_and_knows_its_situation(place: Path, engine: Engine):
    installation = Installation(place / "models", engine, LENIENT)
    settings = RetrainSettings(data=place / "base")
    post_days(engine, 16, 18)
    before = installation.situation()

    report = installation.retrain(settings, "because")
    after = installation.situation()

    assert before.n_new_events == events_of(16, 18).height
    assert before.last_ended_at is None
    assert (report.outcome, report.trigger) == ("promoted", "because")
    assert report.gates["passed"] is True  # type: ignore[index, call-overload]
    assert after.n_new_events == 0
    assert after.last_ended_at == report.finished_at
    assert after.champion_at > before.champion_at
    post_days(engine, 18, 19)
    assert installation.situation().n_new_events == events_of(18, 19).height


def test_the_real_gates_refuse_a_poisoned_day_and_say_why(place: Path, engine: Engine):
    post_days(engine, 16, 17)
    (event,) = journal_events(events_of(17, 18).head(1))
    many = [
        replace(event, event_id=f"bot-{n}", user_id=f"bot{n % 3}", at_us=event.at_us + n * 1_000_000)
        for n in range(3000)
    ]
    EventJournal(engine).append(many)
    registry = Registry(place / "models")
    before = registry.alias(CHAMPION)

    report = Installation(place / "models", engine, LENIENT).retrain(RetrainSettings(data=place / "base"))

    assert (report.outcome, report.version) == ("refused", None)
    assert any("bot" in str(finding) for finding in report.findings), report.reasons
    assert registry.alias(CHAMPION) == before
    newest = ReportFolder(place / "models").newest()
    assert newest is not None
    assert newest.reasons == report.reasons


def test_one_retraining_at_a_time_and_stopping_between_steps(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    installation = Installation(place / "models", engine, LENIENT)
    settings = RetrainSettings(data=place / "base")
    with Lease(engine).held(), pytest.raises(HeldError, match="retraining already"):
        installation.retrain(settings)
    installation.stop.set()
    with pytest.raises(StoppedError):
        installation.retrain(settings)
    assert Lease(engine).holder() is None
    installation.stop.clear()
    assert installation.retrain(settings).outcome == "promoted"


def test_drift_is_a_reason_and_stands_in_the_report(place: Path, engine: Engine):
    installation = Installation(place / "models", engine, LENIENT)
    assert installation.drifted() == ""
    now = datetime.now(UTC)
    moved = events_of(16, 22).with_columns(
        timestamp=pl.col("timestamp") + (now - timedelta(hours=1) - day(22)), device=pl.lit("fridge")
    )
    EventJournal(engine).append(journal_events(moved))

    reason = installation.drifted()
    report = installation.retrain(RetrainSettings(data=place / "base"), reason)

    assert "device" in reason
    assert report.trigger == reason
    assert report.drift["verdict"] == "alarm"  # type: ignore[index, call-overload]
    assert installation.quality_fell() == "", "nothing was shown, so nobody can have disliked it"
