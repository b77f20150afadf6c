"""Days that went wrong, planted into a log: what data checks must find.

Every function takes an events table or a tracks table with times in UTC and gives a new one, by seed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

_DAY = timedelta(days=1)


def busy_bots(
    events: pl.DataFrame, day: datetime, *, n_bots: int = 3, n_plays: int = 1500, seed: int = 0
) -> pl.DataFrame:
    """A few accounts that play all day without a pause, each track as often as everybody does.

    Args:
        events: The log.
        day: Its midnight.
        n_bots: How many accounts.
        n_plays: Plays of each.
        seed: Draws tracks and times.
    """
    rng = np.random.default_rng(seed)
    names = np.repeat([f"bot{number}" for number in range(n_bots)], n_plays)
    tracks = events["track_id"].to_numpy()[rng.integers(0, events.height, len(names))]
    return _with(events, names, tracks, _sorted_times(day, n_bots, n_plays, rng))


def copied_listeners(
    events: pl.DataFrame, day: datetime, *, n_listeners: int = 40, n_plays: int = 25, seed: int = 0
) -> pl.DataFrame:
    """A farm of accounts that all play the same tracks in the same order, at the pace of a person.

    Args:
        events: The log.
        day: Its midnight.
        n_listeners: How many accounts.
        n_plays: Length of the common list.
        seed: Draws tracks and times.
    """
    rng = np.random.default_rng(seed)
    names = np.repeat([f"farm{number:03d}" for number in range(n_listeners)], n_plays)
    tracks = rng.permutation(events["track_id"].unique().sort().to_numpy())[:n_plays]
    return _with(events, names, np.tile(tracks, n_listeners), _sorted_times(day, n_listeners, n_plays, rng))


def pushed_track(events: pl.DataFrame, day: datetime, *, share: float = 0.4, seed: int = 0) -> pl.DataFrame:
    """Part of a day's events name one and the same track instead of their own.

    Args:
        events: The log.
        day: Its midnight.
        share: How many of them.
        seed: Draws the events.
    """
    return _some(events, day, share, seed, track_id=pl.lit(events["track_id"].unique().sort()[0]))


def unknown_tracks(events: pl.DataFrame, day: datetime, *, share: float = 0.5, seed: int = 0) -> pl.DataFrame:
    """Part of a day's events name tracks of another catalogue."""
    return _some(events, day, share, seed, track_id=pl.lit("other-") + pl.col("track_id"))


def future_events(events: pl.DataFrame, day: datetime, *, share: float = 0.05, seed: int = 0) -> pl.DataFrame:
    """Part of a day's events have times a hundred years ahead."""
    return _some(events, day, share, seed, timestamp=pl.col("timestamp").dt.offset_by("100y"))


def only_skips(events: pl.DataFrame, day: datetime) -> pl.DataFrame:
    """Every event of a day is logged as a skip."""
    return _some(events, day, 1.0, 0, event=pl.lit("skip"))


def without_values(events: pl.DataFrame, day: datetime, column: str) -> pl.DataFrame:
    """A column is empty from a day on."""
    return events.with_columns(
        pl.when(pl.col("timestamp") < day).then(pl.col(column)).otherwise(None).alias(column)
    )


def repeated(events: pl.DataFrame, day: datetime) -> pl.DataFrame:
    """A client sends every event of a day again a second later."""
    again = events.filter(pl.col("timestamp").is_between(day, day + _DAY, closed="left"))
    later = again.with_columns(pl.col("timestamp").dt.offset_by("1s"))
    return pl.concat([events, later]).sort("timestamp", maintain_order=True)


def truncated(events: pl.DataFrame, after: datetime, until: datetime | None = None) -> pl.DataFrame:
    """The events of some hours were lost.

    Args:
        events: The log.
        after: From here on nothing is left.
        until: From here on all is there again; None loses the rest.
    """
    lost = pl.col("timestamp") >= after
    if until is not None:
        lost &= pl.col("timestamp") < until
    return events.filter(~lost)


def broken_column(tracks: pl.DataFrame, column: str, fault: str) -> pl.DataFrame:
    """A feature of the catalogue after its pipeline broke.

    Args:
        tracks: The catalogue.
        column: Which feature.
        fault: ``null``, ``nan``, ``constant``, ``scaled`` (a thousand times as large), ``shuffled`` (squared
            and turned round, so that another distribution comes of it) or ``missing``.
    """
    value = pl.col(column)
    faults = {
        "null": pl.lit(None, tracks.schema[column]),
        "nan": pl.lit(float("nan")),
        "constant": pl.lit(0.0),
        "scaled": value * 1000,
        "shuffled": value.max() - (value.max() - value) ** 2 / (value.max() - value.min()),
    }
    if fault == "missing":
        return tracks.drop(column)
    return tracks.with_columns(faults[fault].cast(tracks.schema[column]).alias(column))


def _sorted_times(day: datetime, n_listeners: int, n_plays: int, rng: np.random.Generator) -> np.ndarray:
    """``[n_listeners * n_plays]`` microseconds: each listener's plays, eight in the morning to eleven."""
    start, end = 8 * 3600, 23 * 3600
    seconds = np.sort(rng.uniform(start, end, (n_listeners, n_plays)), axis=1).ravel()
    return (day.timestamp() * 1e6 + seconds * 1e6).astype(np.int64)


def _with(events: pl.DataFrame, users: np.ndarray, tracks: np.ndarray, at_us: np.ndarray) -> pl.DataFrame:
    """The log with further plays, other columns as in the log's own rows."""
    like = events.sample(len(users), with_replacement=True, seed=0)
    added = like.with_columns(
        user_id=pl.Series(users, dtype=pl.String),
        track_id=pl.Series(tracks, dtype=pl.String),
        timestamp=pl.Series(at_us).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        event=pl.lit("play"),
        session_id=pl.Series(users, dtype=pl.String),
    )
    return pl.concat([events, added]).sort("timestamp", maintain_order=True)


def _some(events: pl.DataFrame, day: datetime, share: float, seed: int, **changes: pl.Expr) -> pl.DataFrame:
    """Changes to a random part of one day's events."""
    drawn = pl.Series(np.random.default_rng(seed).random(events.height) < share)
    of_day = events["timestamp"].is_between(day, day + _DAY, closed="left")
    chosen = drawn & of_day
    return events.with_columns(
        pl.when(chosen).then(value).otherwise(pl.col(name)).alias(name) for name, value in changes.items()
    )
