"""What became of what was shown: exposures joined with the events that followed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.schema import TIMESTAMP
from audotics.journal.events import EventJournal
from audotics.journal.exposure_frames import COLUMNS as EXPOSURES
from audotics.journal.exposures import ExposureLog

WINDOW = timedelta(hours=24)
"""After so long an event no longer answers for what was shown."""

OUTCOMES: dict[str, pl.DataType | type[pl.DataType]] = {
    "request_id": pl.String,
    "user_id": pl.String,
    "at": TIMESTAMP,
    "track_id": pl.String,
    "position": pl.Int32,
    "propensity": pl.Float32,
    "model_version": pl.String,
    "variant": pl.String,
    "rung": pl.String,
    "score": pl.Float32,
    "played": pl.Boolean,
    "completed": pl.Boolean,
    "skipped": pl.Boolean,
    "liked": pl.Boolean,
    "ms_played": pl.Int64,
}
"""Columns of `outcomes`, one row per track shown."""

_EVENTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "user_id": pl.String,
    "track_id": pl.String,
    "timestamp": TIMESTAMP,
    "event": pl.String,
    "ms_played": pl.Int64,
    "request_id": pl.String,
}


def outcomes(exposures: pl.DataFrame, events: pl.DataFrame, window: timedelta = WINDOW) -> pl.DataFrame:
    """What the listener did with each track shown.

    An event counts for one exposure only: for the answer that it names (``request_id``), else for the last
    one before it, at most ``window`` ago, that showed this track to this listener. Showing a track again
    and again before it is played once is one success among several, as it was.

    ``played`` means what the head *play* means: a play, a completion, a like or an addition to a playlist.
    ``liked`` is a like or an addition to a playlist. A track may be both played and skipped. ``ms_played``
    is the sum over its events, null where no event tells it.

    Args:
        exposures: Columns of `audotics.journal.exposure_frames`.
        events: Columns user_id, track_id, timestamp, event and ms_played; ``request_id`` where there is one
            (`EventJournal.frames` with ``linked``). Any order.
        window: How long after it was shown a track may be answered for.

    Returns:
        Columns `OUTCOMES`: the exposures in their order, the best track of each first (position 1).
    """
    shown = _shown(exposures)
    told = _told(events)
    keys = shown.select("shown", "request_id", "user_id", "track_id", "at")
    named = _named(keys, told, window)
    rest = told.join(named, on="told", how="anti")
    found = pl.concat([named, _followed(keys, rest, window)])
    done = _done(told.join(found, on="told", how="inner"))
    return (
        shown.join(done, on="shown", how="left", maintain_order="left")
        .with_columns(pl.col("played", "completed", "skipped", "liked").fill_null(value=False))
        .select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())
    )


def outcomes_since(
    exposures: ExposureLog, events: EventJournal, since_us: int, window: timedelta = WINDOW
) -> pl.DataFrame:
    """`outcomes` of what was shown at ``since_us`` (UTC microseconds) or later, read from the journal.

    Raises:
        UnavailableError: The database does not answer.
    """
    shown = _together(exposures.frames(since_us), EXPOSURES)
    happened = (frame.select(*_EVENTS) for frame in events.frames(since_us, linked=True))
    return outcomes(shown, _together(happened, _EVENTS), window)


def _together(
    frames: Iterable[pl.DataFrame], schema: dict[str, pl.DataType | type[pl.DataType]]
) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _shown(exposures: pl.DataFrame) -> pl.DataFrame:
    """One row per track shown, numbered in ``shown``."""
    full = exposures.filter(pl.col("track_ids").list.len() > 0)
    return (
        full.with_columns(position=pl.int_ranges(1, pl.col("track_ids").list.len() + 1, dtype=pl.Int32))
        .explode("track_ids", "scores", "propensities", "position")
        .rename({"track_ids": "track_id", "scores": "score", "propensities": "propensity", "timestamp": "at"})
        .with_row_index("shown")
    )


def _told(events: pl.DataFrame) -> pl.DataFrame:
    """The events that can be placed in time, numbered in ``told``."""
    if "request_id" not in events.columns:
        events = events.with_columns(request_id=pl.lit(None, pl.String))
    known = events.select(pl.col(name).cast(dtype) for name, dtype in _EVENTS.items())
    return known.filter(pl.col("timestamp").is_not_null()).with_row_index("told")


def _named(shown: pl.DataFrame, told: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Pairs of ``told`` and ``shown`` where the event names the answer.

    The listener must be the same, unless the answer was for nobody in particular. A client's clock may be
    behind ours: an event that names its answer cannot come before it, whatever it says.
    """
    pairs = told.join(shown, on=["request_id", "track_id"], how="inner")
    same = pl.col("user_id_right").is_null() | (pl.col("user_id") == pl.col("user_id_right"))
    in_time = pl.col("timestamp") <= pl.col("at") + window
    return pairs.filter(same & in_time).select("told", "shown")


def _followed(shown: pl.DataFrame, told: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Pairs of ``told`` and ``shown`` where the track was last shown to the listener before the event."""
    return (
        told.select("told", "user_id", "track_id", "timestamp")
        .sort("timestamp")
        .join_asof(
            shown.select("shown", "user_id", "track_id", "at").sort("at"),
            left_on="timestamp",
            right_on="at",
            by=["user_id", "track_id"],
            strategy="backward",
            tolerance=window,
            check_sortedness=False,  # both are; polars cannot tell inside groups
        )
        .drop_nulls("shown")
        .select("told", "shown")
    )


def _done(pairs: pl.DataFrame) -> pl.DataFrame:
    """What all events of each track shown come to."""
    event = pl.col("event")
    return pairs.group_by("shown").agg(
        played=event.is_in(POSITIVE_EVENTS).any(),
        completed=(event == "complete").any(),
        skipped=(event == "skip").any(),
        liked=event.is_in(("like", "add_to_playlist")).any(),
        ms_played=pl.when(pl.col("ms_played").is_not_null().any()).then(pl.col("ms_played").sum()),
    )
