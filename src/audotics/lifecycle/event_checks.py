"""New events against usual ones: bots, copied days, exploding tracks, repetitions, broken columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.schema import CONTEXT_PREFIX
from audotics.lifecycle.findings import Finding, Severity
from audotics.lifecycle.limits import DataLimits

_BUSIEST = 0.999
_RUN = 3
"""Tracks in a row by which days of listeners are compared."""
_LEAST_RUNS = 6
_LEAST_COPIES = 3
"""Listeners with the same run of tracks on a day, from which on it counts as copied."""
_MOSTLY = 0.8
_LEAST_EVENTS = 50
"""Fewer events say nothing of shares."""


@dataclass(frozen=True, slots=True)
class Log:
    """New events and those that say what is usual, each with a column ``day``.

    Args:
        fresh: Events after the end of the base; none of the future.
        usual: The newest days of the base.
        gathered_at: When the new data was gathered: until then events are expected.
        starts_at: Start of the new events: the end of the base.
    """

    fresh: pl.DataFrame
    usual: pl.DataFrame
    gathered_at: datetime
    starts_at: datetime


def check_listeners(log: Log, limits: DataLimits) -> Iterator[Finding]:
    """Listeners that are none: implausibly busy ones, and those that do the same as others."""
    if log.fresh.height < _LEAST_EVENTS or log.usual.is_empty():
        return
    per_day = log.fresh.group_by("day", "user_id").len()
    busiest = log.usual.group_by("day", "user_id").len()["len"].quantile(_BUSIEST) or 0.0
    most = max(float(limits.bot_least), limits.bot_factor * busiest)
    share = _worst_day(per_day, pl.col("len") > most)
    if share > limits.bot_share:
        n_bots = per_day.filter(pl.col("len") > most)["user_id"].n_unique()
        what = (
            f"{n_bots} listeners with more than {most:,.0f} events a day make {share:.0%} of a day's events"
        )
        yield Finding("bot_listeners", Severity.REFUSE, what, share, limits.bot_share)
    share = copied_share(log.fresh)
    limit = max(limits.copied_share, limits.bot_factor * copied_share(log.usual))
    if share > limit:
        what = f"{share:.0%} of a day's events are days of listeners that others repeat track by track"
        yield Finding("copied_days", Severity.REFUSE, what, share, limit)


def copied_share(events: pl.DataFrame) -> float:
    """Largest share over days of the events of listeners whose day others repeat track by track.

    A day is copied when four in five of its runs of three tracks stand in the days of two other listeners,
    too. Albums give everybody some such runs, hardly anybody nothing else.

    Args:
        events: ``user_id``, ``track_id``, ``timestamp`` and ``day``.
    """
    day_of = ["day", "user_id"]
    tracks = [pl.col("track_id").shift(-place).over(day_of).alias(f"track_{place}") for place in range(_RUN)]
    runs = (
        events.sort(*day_of, "timestamp", maintain_order=True)
        .select(*day_of, *tracks)
        .drop_nulls()
        .select(*day_of, run=pl.struct(f"track_{place}" for place in range(_RUN)).hash())
    )
    distinct = runs.unique()
    copies = distinct.group_by("day", "run").len("n_listeners")
    days = (
        distinct.join(copies, on=["day", "run"])
        .group_by(day_of)
        .agg(pl.len().alias("n_runs"), (pl.col("n_listeners") >= _LEAST_COPIES).mean().alias("copied"))
    )
    sizes = events.group_by(day_of).len().join(days, on=day_of, how="left")
    copied = ((pl.col("n_runs") >= _LEAST_RUNS) & (pl.col("copied") >= _MOSTLY)).fill_null(value=False)
    return _worst_day(sizes, copied)


def check_tracks(log: Log, catalogue: pl.Series, limits: DataLimits) -> Iterator[Finding]:
    """Tracks played out of all proportion, and tracks that nobody has heard of.

    Args:
        log: The events.
        catalogue: Ids of all tracks that are described; empty where there is no catalogue.
        limits: What may be.
    """
    if log.fresh.height < _LEAST_EVENTS:
        return
    if not log.usual.is_empty():
        yield from _exploding(log, limits)
    if not catalogue.is_empty():
        known = catalogue.implode()
        share, usual = (1.0 - _mean(each["track_id"].is_in(known)) for each in (log.fresh, log.usual))
        limit = max(limits.unknown_share, 2 * usual)
        if share > limit:
            what = f"{share:.0%} of the new events name tracks that the catalogue does not have"
            yield Finding("unknown_tracks", Severity.REFUSE, what, share, limit)


def _exploding(log: Log, limits: DataLimits) -> Iterator[Finding]:
    usual = float(_top_tracks(log.usual)["share"].max() or 0.0)  # type: ignore[arg-type]
    top = _top_tracks(log.fresh)
    # Few events scatter: four standard errors of the usual share are chance.
    limit = limits.track_factor * usual + 4 * (usual / pl.col("n_events")).sqrt()
    worst = top.with_columns(limit=limit).filter(pl.col("share") > pl.col("limit")).sort("share").tail(1)
    for track_id, share, most in worst.select("track_id", "share", "limit").iter_rows():
        what = f"track {track_id!r} has {share:.0%} of a day's events"
        yield Finding("track_share", Severity.REFUSE, what, share, most)


def _top_tracks(events: pl.DataFrame) -> pl.DataFrame:
    """The most played track of each day: ``day``, ``track_id``, ``n_events`` of the day, ``share``."""
    sizes = events.group_by("day").len("n_events").filter(pl.col("n_events") >= _LEAST_EVENTS)
    return (
        events.group_by("day", "track_id")
        .len()
        .sort("len", "track_id")
        .group_by("day")
        .last()
        .join(sizes, on="day")
        .with_columns(share=pl.col("len") / pl.col("n_events"))
    )


def check_rows(log: Log, limits: DataLimits) -> Iterator[Finding]:
    """Repetitions, kinds of events, and columns that are suddenly empty."""
    if log.fresh.height < _LEAST_EVENTS or log.usual.is_empty():
        return
    share = repeated_share(log.fresh, limits.burst_s)
    limit = max(limits.burst_share, 3 * repeated_share(log.usual, limits.burst_s))
    if share > limit:
        what = f"{share:.0%} of the new events repeat the one before within {limits.burst_s:g} s"
        yield Finding("duplicate_burst", Severity.REFUSE, what, share, limit)
    positive, usual = (_mean(each["event"].is_in(POSITIVE_EVENTS)) for each in (log.fresh, log.usual))
    limit = limits.positive_factor * usual
    if positive < limit:
        what = f"only {positive:.0%} of the new events say that a track was chosen, usually {usual:.0%}"
        yield Finding("positive_share", Severity.REFUSE, what, positive, limit)
    yield from _emptied(log, limits)


def repeated_share(events: pl.DataFrame, seconds: float) -> float:
    """Share of events that their listener's last event of the same kind and track precedes by so little."""
    same = ["user_id", "track_id", "event"]
    pause = pl.col("timestamp").diff().over(same).dt.total_microseconds() <= seconds * 1e6
    ordered = events.select(*same, "timestamp").sort(*same, "timestamp")
    return _mean(ordered.select(pause.fill_null(value=False)).to_series())


def _emptied(log: Log, limits: DataLimits) -> Iterator[Finding]:
    read = ("device", "country", *(name for name in log.usual.columns if name.startswith(CONTEXT_PREFIX)))
    for column in (*read, "ms_played", "session_id"):
        fresh, usual = (_null_share(each, column) for each in (log.fresh, log.usual))
        growth = fresh - usual
        # Nothing that learns reads the last two.
        refused = column in read and growth > limits.context_null_refuse
        limit = limits.context_null_refuse if refused else limits.null_refuse
        if growth > limit:
            severity = Severity.REFUSE if refused else Severity.WARN
            what = f"column events.{column} is empty in {fresh:.0%} of the new events, usually in {usual:.0%}"
            yield Finding("event_nulls", severity, what, growth, limit)


def _null_share(events: pl.DataFrame, column: str) -> float:
    return _mean(events[column].is_null()) if column in events.columns else 1.0


def _worst_day(listener_days: pl.DataFrame, chosen: pl.Expr) -> float:
    """Largest share over days of the events (column ``len``) of chosen listener-days."""
    of_day = pl.col("len").filter(chosen).sum() / pl.col("len").sum()
    enough = pl.col("len").sum() >= _LEAST_EVENTS
    days = listener_days.group_by("day").agg(of_day.alias("share"), enough.alias("enough"))
    return float(days.filter("enough")["share"].max() or 0.0)  # type: ignore[arg-type]


def _mean(flags: pl.Series) -> float:
    return float(flags.mean() or 0.0)  # type: ignore[arg-type]
