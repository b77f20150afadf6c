from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import polars as pl
import pytest

from audotics.errors import BadInputError
from audotics.experiments.definition import MetricName
from audotics.experiments.planning import PlannedRun, plan
from audotics.experiments.rehearsal import Population, rehearse

START = datetime(2025, 3, 3, tzinfo=UTC)


@cache
def history() -> pl.DataFrame:
    people = Population.simulated(1500, seed=2)
    return rehearse(people, "none", {"a": 1}, started_at=START, n_days=14, past_days=20).events


@cache
def runs(metric: MetricName = MetricName.COMPLETION, **options: float) -> list[PlannedRun]:
    return plan(history(), metric, durations=(7, 14), **options)


def test_longer_runs_and_the_past_find_smaller_changes() -> None:
    week, fortnight = runs()
    assert week.n_listeners < fortnight.n_listeners <= 1500
    assert fortnight.detectable < week.detectable
    for run in (week, fortnight):
        assert 0.3 < run.explained < 0.8
        assert run.detectable_cuped == pytest.approx(run.detectable * (1 - run.explained) ** 0.5)
        assert run.detectable_any_day > run.detectable_cuped


def test_the_change_that_can_be_found_needs_the_listeners_there_are() -> None:
    week = runs()[0]
    (asked, _) = runs(effect=week.detectable_cuped)
    assert asked.needed == pytest.approx(week.n_listeners, rel=0.01)
    assert runs(effect=1.2 * week.detectable_cuped)[0].enough
    assert not runs(effect=0.8 * week.detectable_cuped)[0].enough
    assert not week.enough


def test_fewer_listeners_and_more_treatments_find_less() -> None:
    whole, half, many = runs()[0], runs(share=0.5)[0], runs(n_treatments=3)[0]
    assert half.detectable == pytest.approx(whole.detectable * 2**0.5, rel=0.01)
    assert many.detectable > whole.detectable


@pytest.mark.parametrize("metric", list(MetricName))
def test_every_metric_can_be_planned_for(metric: MetricName) -> None:
    assert runs(metric)[1].mean > 0


def test_durations_longer_than_history_are_left_out() -> None:
    assert [run.n_days for run in plan(history(), MetricName.SKIP, durations=(7, 90))] == [7]
    with pytest.raises(BadInputError, match="shorter than 60 days"):
        plan(history(), MetricName.SKIP, durations=(60,))
    with pytest.raises(BadInputError, match="no history"):
        plan(history().clear(), MetricName.SKIP)


def test_a_metric_that_never_varies_cannot_be_planned_for() -> None:
    silent = history().with_columns(event=pl.lit("complete"))
    with pytest.raises(BadInputError, match="does not vary"):
        plan(silent, MetricName.SKIP)
