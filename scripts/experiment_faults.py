"""Planted faults of the log, and how often each check cries without one. See measure_experiments.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from scipy import stats

from audotics.experiments.analysis import analyse
from audotics.experiments.checks import MISMATCH_ALPHA
from audotics.experiments.definition import Experiment
from audotics.experiments.experiment_report import Finding
from audotics.experiments.mismatch import sequential_p_value
from audotics.experiments.rehearsal import Population, Rehearsal, rehearse

START = datetime(2025, 3, 3, tzinfo=UTC)
N_DAYS = 14
SHIFT = timedelta(days=N_DAYS)
_EVENT_FLAGS = ("played", "completed", "skipped", "liked")

EXPERIMENT = Experiment.model_validate(
    {
        "name": "try",
        "arms": [{"name": "a", "share": 5000}, {"name": "b", "share": 5000}],
        "created_at": START,
        "started_at": START,
        "metrics": [
            {"name": "completion", "role": "primary"},
            {"name": "skip"},
            {"name": "listening_minutes"},
            {"name": "return_next_day"},
        ],
    }
)

Fault = Callable[[Rehearsal, Population, int], Rehearsal]


def clean(logged: Rehearsal, people: Population, seed: int) -> Rehearsal:
    """No fault."""
    return logged


def lost_listeners(part: float) -> Fault:
    """A part of b's listeners never reaches the log."""

    def plant(logged: Rehearsal, people: Population, seed: int) -> Rehearsal:
        lost = _of_b() & _chosen("user_id", part, seed)
        return _with(logged, logged.outcomes.filter(~lost))

    return plant


def lost_events(part: float, days: tuple[int, int]) -> Fault:
    """A part of b's answers has no events on some days."""

    def plant(logged: Rehearsal, people: Population, seed: int) -> Rehearsal:
        first, end = (START + timedelta(days=day) for day in days)
        lost = _of_b() & pl.col("at").is_between(first, end, closed="left")
        lost &= _chosen("request_id", part, seed)
        return _with(logged, logged.outcomes.with_columns(pl.col(name) & ~lost for name in _EVENT_FLAGS))

    return plant


def absent_arm(logged: Rehearsal, people: Population, seed: int) -> Rehearsal:
    """B is shown nothing on one day."""
    fifth = pl.col("at").dt.date() == (START + timedelta(days=4)).date()
    return _with(logged, logged.outcomes.filter(~(_of_b() & fifth)))


def written_twice(logged: Rehearsal, people: Population, seed: int) -> Rehearsal:
    """One answer in a thousand is logged twice."""
    again = logged.outcomes.filter(_chosen("request_id", 0.001, seed))
    return _with(logged, pl.concat([logged.outcomes, again]))


def carried_over(uplift: float) -> Fault:
    """The salt of an earlier experiment is used again, so arms are the same listeners as in that one."""

    def plant(logged: Rehearsal, people: Population, seed: int) -> Rehearsal:
        settings = {"started_at": START, "n_days": N_DAYS, "past_days": N_DAYS}
        # The same seed deals the same arms.
        earlier = rehearse(people, "old", {"a": 1, "b": 1}, uplifts={"b": uplift}, seed=seed, **settings)
        before = earlier.events.filter(pl.col("timestamp") >= START).with_columns(pl.col("timestamp") - SHIFT)
        shown = earlier.outcomes.with_columns(pl.col("at") - SHIFT, request_id="old" + pl.col("request_id"))
        events = pl.concat([before, logged.events.filter(pl.col("timestamp") >= START)])
        return Rehearsal(pl.concat([shown, logged.outcomes]), events, logged.arm_of)

    return plant


PLANTED: dict[str, tuple[Fault, str]] = {
    "20 % of one arm's listeners lost": (lost_listeners(0.20), "sample ratio"),
    "60 % of one arm's events lost on two days": (lost_events(0.6, (5, 7)), "event log"),
    "30 % of one arm's events lost on two days": (lost_events(0.3, (5, 7)), "event log"),
    "one arm not shown on a day": (absent_arm, "exposure log"),
    "one answer in 1,000 logged twice": (written_twice, "exposure log"),
    "carry-over of a 20 % effect, same salt": (carried_over(0.2), "carry-over"),
}
"""Fault -> how it is planted and the check that must find it."""


def found_by(people: Population, fault: Fault, n_runs: int, seed: int) -> tuple[Counter[str], list[Finding]]:
    """In how many rehearsals each check found something, and what it said in the first."""
    checks: Counter[str] = Counter()
    said: list[Finding] = []
    for run in range(n_runs):
        number = seed + run
        logged = rehearse(
            people, "try", {"a": 1, "b": 1}, started_at=START, n_days=N_DAYS, past_days=N_DAYS, seed=number
        )
        broken = fault(logged, people, number)
        report = analyse(EXPERIMENT, broken.outcomes, broken.events, START + SHIFT)
        checks.update({finding.check for finding in report.findings})
        said = said or list(report.findings)
    return checks, said


def mismatch_looks(n_listeners: int, lost: float, n_tests: int, seed: int) -> tuple[float, float]:
    """How often daily looks for 28 days find a mismatch at 1 %: by the sequential test, and by chi-squared.

    Args:
        n_listeners: Who come until the last day.
        lost: Part of one arm's listeners who never reach the log.
        n_tests: Experiments.
        seed: Decides everything random.
    """
    rng = np.random.default_rng(seed)
    dealt = np.array([1.0, 1.0 - lost])
    daily = rng.multinomial(n_listeners // 28, dealt / dealt.sum(), (n_tests, 28)).cumsum(axis=1)
    always = (sequential_p_value(daily, [1, 1]) < MISMATCH_ALPHA).any(axis=1).mean()
    fixed = stats.chisquare(daily, axis=2).pvalue
    return float(always), float((fixed < MISMATCH_ALPHA).any(axis=1).mean())


def _of_b() -> pl.Expr:
    return pl.col("variant").str.ends_with(":b")


def _chosen(column: str, part: float, seed: int) -> pl.Expr:
    return pl.col(column).hash(seed) % 10_000 < round(part * 10_000)


def _with(logged: Rehearsal, shown: pl.DataFrame) -> Rehearsal:
    return Rehearsal(shown, logged.events, logged.arm_of)
