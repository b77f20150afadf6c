"""From exposures and events to what each listener did on each day of an experiment.

Metrics (all over listeners who were shown something, each from their first exposure on):

- completion, skip, like: such tracks per track started, of the tracks that answers of the experiment showed.
- listening_minutes: minutes of all listening per listener and day.
- return_next_day: days with any sign of the listener per day before it on which something was shown.
- diversity: distinct artists (tracks, where no artists are known) heard, per day of listening.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.errors import BadInputError
from audotics.experiments.arms import arms_of
from audotics.experiments.definition import MetricName
from audotics.experiments.per_listener import DAY, DaySums, ListenerDays, Period, totals
from audotics.experiments.sequential import Array

PAST_DAYS = 28
"""Days before the start whose events are a listener's past."""

_KEYS = ("listener", "day")


def exposures_of(outcomes: pl.DataFrame, experiment: str) -> pl.DataFrame:
    """The rows that answers of an experiment showed, with the arm in ``arm``."""
    labels = outcomes["variant"].unique().drop_nulls().to_list()
    arms = {label: arm for label in labels if (arm := arms_of(label).get(experiment)) is not None}
    found = outcomes.filter(pl.col("variant").is_in(list(arms)))
    return found.with_columns(arm=pl.col("variant").replace_strict(arms, return_dtype=pl.String))


def listener_days(
    shown: pl.DataFrame,
    events: pl.DataFrame,
    *,
    arms: tuple[str, ...],
    period: Period,
    tracks: pl.DataFrame | None = None,
    left_out: Iterable[str] = (),
) -> ListenerDays:
    """Gather what listeners did.

    Args:
        shown: From `exposures_of`; rows outside the period do not count.
        events: All events, those of the past included: user_id, track_id, timestamp, event, ms_played.
        arms: Names of the arms; rows of others do not count.
        period: The days.
        tracks: track_id and artist_id, for the diversity of artists.
        left_out: Listeners who do not count (testers).

    Raises:
        BadInputError: Nobody was shown anything in the period.
    """
    own = shown.filter(
        pl.col("arm").is_in(arms)
        & pl.col("user_id").is_not_null()
        & ~pl.col("user_id").is_in(list(left_out))
        & pl.col("at").is_between(period.start, period.end, closed="left")
    )
    listeners, n_crossed = _listeners(own, arms, period)
    if listeners.is_empty():
        raise BadInputError(
            f"no listener was shown anything between {period.start:%Y-%m-%d %H:%M} and {period.end:%H:%M}",
            where="analysis",
            remedy="See whether the server runs the experiment and writes exposures",
        )
    own = own.join(listeners.select("user_id", "listener"), on="user_id").with_columns(
        day=_day("at", period.start)
    )
    theirs = _events(events, listeners, period, tracks)
    since = theirs.filter(pl.col("timestamp") >= pl.col("first_at"))
    past = theirs.filter(pl.col("day") < 0)
    daily = _daily(own)
    return ListenerDays(
        user_ids=listeners["user_id"],
        arm=listeners["arm"].to_numpy(),
        first_day=listeners["first_day"].to_numpy(),
        arms=arms,
        period=period,
        metrics=_metrics(daily, own, since, period),
        past=_past(past, listeners.height),
        answers=_rows(daily, "answers_started", "answers"),
        n_crossed=n_crossed,
    )


def _day(column: str, start: datetime) -> pl.Expr:
    return (pl.col(column) - start).dt.total_seconds() // 86_400


def _listeners(own: pl.DataFrame, arms: tuple[str, ...], period: Period) -> tuple[pl.DataFrame, int]:
    """Each listener once, by id: ``listener``, ``arm``, ``first_at``, ``first_day``; and how many crossed."""
    found = own.group_by("user_id").agg(
        arm=pl.col("arm").first(), n_arms=pl.col("arm").n_unique(), first_at=pl.col("at").min()
    )
    kept = found.filter(pl.col("n_arms") == 1).sort("user_id").drop("n_arms")
    places = {arm: place for place, arm in enumerate(arms)}
    kept = kept.with_row_index("listener").with_columns(
        pl.col("listener").cast(pl.Int64),
        arm=pl.col("arm").replace_strict(places, return_dtype=pl.Int64),
        first_day=_day("first_at", period.start),
    )
    return kept, found.height - kept.height


def _events(
    events: pl.DataFrame, listeners: pl.DataFrame, period: Period, tracks: pl.DataFrame | None
) -> pl.DataFrame:
    """Events of the listeners in the past and the period: ``listener``, ``day``, ``artist`` and the rest."""
    begin = period.start - PAST_DAYS * DAY
    theirs = (
        events.select("user_id", "track_id", "timestamp", "event", "ms_played")
        .filter(pl.col("timestamp").is_between(begin, period.end, closed="left"))
        .join(listeners.select("user_id", "listener", "first_at"), on="user_id")
        .with_columns(day=_day("timestamp", period.start))
    )
    if tracks is None:
        return theirs.with_columns(artist=pl.col("track_id"))
    names = tracks.select("track_id", artist="artist_id").unique("track_id")
    return theirs.join(names, on="track_id", how="left").with_columns(pl.col("artist").fill_null("track_id"))


def _daily(own: pl.DataFrame) -> pl.DataFrame:
    started = pl.col("played") | pl.col("skipped") | pl.col("completed") | pl.col("liked")
    return own.group_by(_KEYS).agg(
        started=started.sum(),
        completed=pl.col("completed").sum(),
        skipped=pl.col("skipped").sum(),
        liked=pl.col("liked").sum(),
        answers=pl.col("request_id").n_unique(),
        answers_started=pl.col("request_id").filter(started).n_unique(),
    )


def _metrics(
    daily: pl.DataFrame, own: pl.DataFrame, since: pl.DataFrame, period: Period
) -> dict[MetricName, DaySums]:
    minutes = since.group_by(_KEYS).agg(minutes=pl.col("ms_played").sum() / 60_000)
    shown_on = own.select(_KEYS).unique()
    seen_on = pl.concat([shown_on, since.select(_KEYS)]).unique()
    return {
        MetricName.COMPLETION: _rows(daily, "completed", "started"),
        MetricName.SKIP: _rows(daily, "skipped", "started"),
        MetricName.LIKE: _rows(daily, "liked", "started"),
        MetricName.LISTENING_MINUTES: _rows(minutes, "minutes", None),
        MetricName.RETURN_NEXT_DAY: _rows(_returns(shown_on, seen_on, period.n_days), "returned", "days"),
        MetricName.DIVERSITY: _rows(_artists(since), "artists", "days"),
    }


def _past(past: pl.DataFrame, n_listeners: int) -> dict[MetricName, tuple[Array, Array]]:
    """The same from events alone: what was shown before the start is of no account."""
    event = pl.col("event")
    counts = past.group_by(_KEYS).agg(
        started=event.is_in(("play", "complete", "skip")).sum(),
        completed=(event == "complete").sum(),
        skipped=(event == "skip").sum(),
        liked=event.is_in(("like", "add_to_playlist")).sum(),
        minutes=pl.col("ms_played").sum() / 60_000,
    )
    active = past.select(_KEYS).unique()
    frames = {
        MetricName.COMPLETION: (counts, "completed", "started"),
        MetricName.SKIP: (counts, "skipped", "started"),
        MetricName.LIKE: (counts, "liked", "started"),
        MetricName.LISTENING_MINUTES: (counts, "minutes", None),
        MetricName.RETURN_NEXT_DAY: (_returns(active, active, 0), "returned", "days"),
        MetricName.DIVERSITY: (_artists(past), "artists", "days"),
    }
    found = {}
    for metric, (frame, numerator, denominator) in frames.items():
        rows = _rows(frame, numerator, denominator)
        above = totals(rows.listener, rows.numerator, n_listeners)
        if rows.denominator is None:
            # Minutes are per day of the past, whether the listener was there on it or not.
            was_there = np.bincount(rows.listener, minlength=n_listeners) > 0
            found[metric] = above, np.where(was_there, float(PAST_DAYS), 0.0)
        else:
            found[metric] = above, totals(rows.listener, rows.denominator, n_listeners)
    return found


def _returns(first: pl.DataFrame, second: pl.DataFrame, end: int) -> pl.DataFrame:
    """Pairs of days, by the second: whether the listener came back. Those not over are left out."""
    nexts = first.with_columns(pl.col("day") + 1).filter(pl.col("day") < end)
    return nexts.join(second.with_columns(returned=1.0), on=_KEYS, how="left").with_columns(
        pl.col("returned").fill_null(0.0), days=1.0
    )


def _artists(events: pl.DataFrame) -> pl.DataFrame:
    heard = events.filter(pl.col("event").is_in(POSITIVE_EVENTS))
    return heard.group_by(_KEYS).agg(artists=pl.col("artist").n_unique(), days=pl.lit(1.0))


def _rows(frame: pl.DataFrame, numerator: str, denominator: str | None) -> DaySums:
    if denominator is not None:
        frame = frame.filter(pl.col(denominator) > 0)
    return DaySums(
        listener=frame["listener"].cast(pl.Int64).to_numpy(),
        day=frame["day"].cast(pl.Int64).to_numpy(),
        numerator=frame[numerator].cast(pl.Float64).to_numpy(),
        denominator=None if denominator is None else frame[denominator].cast(pl.Float64).to_numpy(),
    )
