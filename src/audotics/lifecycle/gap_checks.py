"""Days and hours without the events that the same weekday usually has: a log that was cut."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from audotics.lifecycle.event_checks import Log
from audotics.lifecycle.findings import Finding, Severity
from audotics.lifecycle.limits import DataLimits

_LEAST_EXPECTED = 30
"""Fewer usual events in a window may be missing by chance."""
_LEAST_A_DAY = 50
_DEVIATIONS = 4 * 1.4826
"""Four standard deviations, from the median absolute deviation of a normal distribution."""
_HOUR = timedelta(hours=1)


def check_gaps(log: Log, limits: DataLimits) -> list[Finding]:
    """At most one finding: a whole day with far too few events, or else hours in a row."""
    if log.usual.is_empty():
        return []
    usual = _hourly(log.usual, _midnight(log.usual), log.starts_at)
    fresh = _hourly(log.fresh, _ceil(log.starts_at), log.gathered_at)
    if usual.is_empty() or fresh.is_empty():
        return []
    found = _short_day(fresh, usual, limits) or _silent_hours(fresh, usual, limits)
    return [found] if found else []


def _midnight(events: pl.DataFrame) -> datetime:
    earliest: datetime = events.select(pl.col("timestamp").min().dt.truncate("1d")).item()
    return earliest


def _hourly(events: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Every whole hour between the two: ``hour`` (its start), ``n`` events, 0 where there is none."""
    hours = pl.datetime_range(
        start, end - _HOUR, "1h", time_zone="UTC", time_unit="us", eager=True, closed="both"
    )
    counts = events.group_by(pl.col("timestamp").dt.truncate("1h").alias("hour")).len("n")
    return (
        pl.DataFrame({"hour": hours})
        .join(counts, on="hour", how="left", maintain_order="left")
        .with_columns(pl.col("n").fill_null(0).cast(pl.Int64))
    )


def _ceil(at: datetime) -> datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if whole == at else whole + _HOUR


def _days(hourly: pl.DataFrame) -> pl.DataFrame:
    """Whole days: ``day``, ``weekday``, ``n`` events."""
    day = pl.col("hour").dt.date().alias("day")
    days = hourly.group_by(day, maintain_order=True).agg(pl.len().alias("hours"), pl.col("n").sum())
    return days.filter(pl.col("hours") == 24).with_columns(weekday=pl.col("day").dt.weekday())


def _short_day(fresh: pl.DataFrame, usual: pl.DataFrame, limits: DataLimits) -> Finding | None:
    before = _days(usual)
    for day, weekday, n in _days(fresh).sort("n").select("day", "weekday", "n").iter_rows():
        same = before.filter(pl.col("weekday") == weekday)["n"]
        counts = (same if len(same) > 1 else before["n"]).cast(pl.Float64)
        median = float(counts.median() or 0.0)  # type: ignore[arg-type]
        spread = float((counts - median).abs().median() or 0.0)  # type: ignore[arg-type]
        least = median - max(_DEVIATIONS * spread, limits.day_drop * median)
        if median >= _LEAST_A_DAY and n < least:
            what = f"{day:%A}, {day} has {n:,} events, that weekday usually has about {median:,.0f}"
            return Finding("truncated_log", Severity.REFUSE, what, n, least)
    return None


def _silent_hours(fresh: pl.DataFrame, usual: pl.DataFrame, limits: DataLimits) -> Finding | None:
    """The window with the smallest part of its usual events, if that is too little."""
    of_week = [pl.col("hour").dt.weekday().alias("weekday"), pl.col("hour").dt.hour().alias("hour_of_day")]
    named = usual.with_columns(of_week)
    by = ["weekday", "hour_of_day"] if usual.height >= 14 * 24 else ["hour_of_day"]
    expected = named.group_by(by).agg(pl.col("n").median().alias("expected"))
    window = limits.gap_hours
    worst = (
        fresh.with_columns(of_week)
        .join(expected, on=by, how="left", maintain_order="left")
        .select("hour", *(pl.col(name).fill_null(0).rolling_sum(window) for name in ("n", "expected")))
        .filter(pl.col("expected") >= _LEAST_EXPECTED)
        .with_columns(part=pl.col("n") / pl.col("expected"))
        .sort("part")
        .head(1)
    )
    for hour, n, usually, part in worst.iter_rows():
        if part < limits.gap_share:
            start = hour - (window - 1) * _HOUR
            what = (
                f"{n:,.0f} events in the {window} hours from {start:%Y-%m-%d %H:%M}, usually {usually:,.0f}"
            )
            return Finding("truncated_log", Severity.REFUSE, what, part, limits.gap_share)
    return None
