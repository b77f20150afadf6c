"""Data-quality checks: whether a new Dataset is fit to learn from, against the one learned from before.

What came since the base is compared with the base's newest weeks. A poisoned day (bots, a broken column, a
truncated log) is refused before anything is trained on it; whether tastes have moved is another
question (`audotics.monitoring`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from audotics.data.dataset import Dataset
from audotics.lifecycle.column_checks import check_columns
from audotics.lifecycle.event_checks import Log, check_listeners, check_rows, check_tracks
from audotics.lifecycle.findings import Finding, Severity, refusals
from audotics.lifecycle.gap_checks import check_gaps
from audotics.lifecycle.limits import DataLimits

__all__ = ["DataLimits", "Finding", "Severity", "check", "refusals"]

_CLOCK_SKEW = timedelta(hours=1)

_SPILL = timedelta(hours=3)
"""Sessions begun before midnight end after it: a log that ends so early ends with the day before."""


def check(
    dataset: Dataset, base: Dataset, limits: DataLimits | None = None, *, gathered_at: datetime | None = None
) -> list[Finding]:
    """What is unusual about the events after the base's end, and about the tables of tracks and listeners.

    Args:
        dataset: What is to be learned from; usually the base's events and those since.
        base: What the champion learned from.
        limits: What may be; None takes the defaults.
        gathered_at: Until when events are expected, UTC. None: the end of the newest event's day, or the
            writing of the Dataset if that was earlier: old logs replayed later are whole days.

    Returns:
        Findings, those that refuse first. Empty where nothing is unusual.
    """
    limits = limits or DataLimits()
    findings: list[Finding] = []
    if base.manifest.time_range is not None and dataset.timed:
        log, findings = _read(dataset, base, base.manifest.time_range[1], limits, gathered_at)
        findings += check_listeners(log, limits)
        findings += check_tracks(log, _catalogue(dataset), limits)
        findings += check_rows(log, limits)
        findings += check_gaps(log, limits)
    findings += check_columns("tracks", dataset.tracks(), base.tracks(), limits)
    findings += check_columns("users", dataset.users(), base.users(), limits)
    return sorted(findings, key=lambda finding: not finding.refuses)


def _read(
    dataset: Dataset, base: Dataset, starts_at: datetime, limits: DataLimits, gathered_at: datetime | None
) -> tuple[Log, list[Finding]]:
    first = starts_at - timedelta(days=limits.reference_days)
    at, day = pl.col("timestamp"), pl.col("timestamp").dt.date().alias("day")
    usual = base.events().filter(at > first).with_columns(day).collect()
    fresh = dataset.events().filter(at > starts_at).with_columns(day).collect()
    written_at = gathered_at or dataset.manifest.created_at
    future = fresh["timestamp"] > written_at + _CLOCK_SKEW
    findings = _of_future(future, limits)
    fresh = fresh.filter(~future)
    expected_until = gathered_at or _expected_until(fresh, starts_at, written_at)
    return Log(fresh, usual, expected_until, starts_at), findings


def _expected_until(fresh: pl.DataFrame, starts_at: datetime, written_at: datetime) -> datetime:
    if fresh.is_empty():
        return starts_at
    last = pl.col("timestamp").max() - _SPILL
    end: datetime = fresh.select(last.dt.truncate("1d").dt.offset_by("1d")).item()
    return min(end, written_at)


def _of_future(future: pl.Series, limits: DataLimits) -> list[Finding]:
    n_future = int(future.sum())
    if not n_future:
        return []
    share = n_future / len(future)
    severity = Severity.REFUSE if share > limits.future_share else Severity.WARN
    what = f"{n_future:,} of {len(future):,} new events are dated after the data was gathered"
    return [Finding("future_events", severity, what, share, limits.future_share)]


def _catalogue(dataset: Dataset) -> pl.Series:
    return dataset.tracks()["track_id"]
