"""Online quality: what listeners did with what was recommended, by version, variant and rung."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
from scipy import stats

from audotics.monitoring.drops import drops
from audotics.monitoring.rates import LEVEL, METRICS, estimates, per_listener, rates
from audotics.monitoring.report import ALL_RUNGS, DayQuality, GroupQuality, Lift, QualityReport

HOLDOUT = "holdout"
"""The variant whose listeners get what is popular, for comparison."""

FEWEST_LISTENERS = 10
"""Fewer listeners on either side give no difference."""

_DAY = timedelta(days=1)


def quality_report(outcomes: pl.DataFrame, since: datetime, until: datetime) -> QualityReport:
    """Rates of what was recommended, and whether they dropped.

    Args:
        outcomes: Columns of `audotics.journal.outcomes.OUTCOMES`; days before ``since`` are what the newest
            day is held against.
        since: Groups are of answers from then on.
        until: Answers from then on do not count: what was shown last had no time to be played yet.
    """
    ripe = outcomes.filter(pl.col("at") < until)
    recent = ripe.filter(pl.col("at") >= since)
    days = _days(ripe, until)
    return QualityReport(
        since=since,
        until=until,
        groups=_groups(recent),
        lifts=_lifts(recent),
        days=tuple(
            DayQuality(day=row["day"], n_listeners=row["n_listeners"], rates=rates(row))
            for row in days.iter_rows(named=True)
        ),
        drops=drops(days),
    )


def _days(ripe: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """Estimates of every whole day, of everybody but the holdout."""
    served = ripe.filter(pl.col("variant") != HOLDOUT).with_columns(day=pl.col("at").dt.date())
    first = served["at"].min()
    whole = served.filter(pl.col("day") < until.date())
    if isinstance(first, datetime) and first - first.replace(hour=0, minute=0) > _DAY / 4:
        # The first day began before what was read of it.
        whole = whole.filter(pl.col("day") > first.date())
    return estimates(per_listener(whole, "day"), "day")


def _groups(recent: pl.DataFrame) -> tuple[GroupQuality, ...]:
    both = ["model_version", "variant"]
    answers = recent.group_by(*both, "rung").agg(n_answers=pl.col("request_id").n_unique())
    by_rung = estimates(per_listener(recent, *both, "rung"), *both, "rung").join(answers, on=[*both, "rung"])
    together = estimates(per_listener(recent, *both), *both).join(
        answers.group_by(both).agg(pl.col("n_answers").sum()), on=both
    )
    rows = pl.concat([together.with_columns(rung=pl.lit(ALL_RUNGS)), by_rung], how="diagonal")
    return tuple(_group(row) for row in rows.sort(*both, "rung").iter_rows(named=True))


def _group(row: dict[str, Any]) -> GroupQuality:
    return GroupQuality(
        version=row["model_version"],
        variant=row["variant"],
        rung=row["rung"],
        n_answers=row["n_answers"],
        n_listeners=row["n_listeners"],
        rates=rates(row),
    )


def _lifts(recent: pl.DataFrame) -> tuple[Lift, ...]:
    """Differences of independent listeners: nobody is in the holdout and out of it."""
    kept = recent.filter(pl.col("variant") == HOLDOUT)
    if kept.is_empty():
        return ()
    others = recent.filter(pl.col("variant") != HOLDOUT)
    base = estimates(per_listener(kept)).row(0, named=True)
    groups = estimates(per_listener(others, "model_version", "variant"), "model_version", "variant")
    return tuple(
        lift
        for row in groups.iter_rows(named=True)
        for metric in METRICS
        if (lift := _lift(row, base, metric.name, metric.better)) is not None
    )


def _lift(row: dict[str, Any], base: dict[str, Any], metric: str, better: int) -> Lift | None:
    variances = row[f"{metric}_variance"], base[f"{metric}_variance"]
    if None in variances or min(row["n_listeners"], base["n_listeners"]) < FEWEST_LISTENERS:
        return None
    difference = (row[metric] - base[metric]) * better
    error = sum(variances) ** 0.5
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return Lift(
        version=row["model_version"],
        variant=row["variant"],
        metric=metric,
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        p_value=2 * float(stats.norm.sf(abs(difference) / error)) if error else 1.0,
    )
