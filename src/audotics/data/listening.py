"""What can be said of listening events: their contexts, their tracks, and whether those are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import polars as pl

from audotics.data.schema import CONTEXT_PREFIX, FEATURE_PREFIX

HOUR, WEEKDAY = "context:hour", "context:weekday"
KNOWN_LISTENER, KNOWN_TRACK, BAND = "known:listener", "known:track", "popularity:band"
KNOWN, UNKNOWN = "known", "unknown"
NEVER = "never played"

_BANDS = ((0.01, "top 1 %"), (0.05, "next 4 %"), (0.2, "next 15 %"), (1.0, "the rest"))
CELLS = {
    KNOWN_LISTENER: (KNOWN, UNKNOWN),
    KNOWN_TRACK: (KNOWN, UNKNOWN),
    BAND: (*(label for _, label in _BANDS), NEVER),
}
"""Values that these columns may have."""

_AGES = ((30, "under 30 days"), (365, "under a year"), (1095, "under 3 years"), (3650, "under 10 years"))
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Known:
    """Whom and what a version knows.

    Args:
        listeners: Column ``user_id``, distinct: those with events.
        tracks: Columns ``track_id`` (distinct: those somebody played) and ``band``, how popular it was.
    """

    listeners: pl.DataFrame
    tracks: pl.DataFrame

    @classmethod
    def of(cls, listeners: pl.Series, tracks: pl.DataFrame) -> Self:
        """Bands by rank: the top 1 % of the played tracks, the next 4 %, the next 15 %, the rest.

        Args:
            listeners: Ids.
            tracks: Columns ``track_id`` (distinct) and ``n``, how many listeners played it; tracks of
                nobody are not known.
        """
        played = tracks.filter(pl.col("n") > 0).sort(["n", "track_id"], descending=[True, False])
        share = pl.int_range(pl.len()) / pl.len()
        band = pl.lit(_BANDS[-1][1])
        for limit, label in reversed(_BANDS[:-1]):
            band = pl.when(share < limit).then(pl.lit(label)).otherwise(band)
        return cls(listeners.unique().to_frame("user_id"), played.select("track_id", band=band))


def listening(events: pl.DataFrame, tracks: pl.DataFrame, known: Known | None = None) -> pl.DataFrame:
    """One column for everything that is said of events, by name.

    ``context:*``: hour and weekday (UTC), device, country and every ``context_*`` column of the data;
    ``listening:*``: kind of event, share of the track heard; ``track:*``: what its track is like (the first
    genre stands for all; age is counted from the release); ``known:*`` and ``popularity:band``: whether the
    listener and the track are known, and how popular the track was when they became so.

    Args:
        events: Columns of ``schema.EVENTS``.
        tracks: Columns of ``schema.TRACKS`` and ``feature_*``; tracks may be missing.
        known: Whom and what is known; None leaves those columns out.

    Returns:
        ``[n_events]`` rows in the order of the events; columns of which nothing at all is known are there.
    """
    features = [name for name in tracks.columns if name.startswith(FEATURE_PREFIX)]
    about = tracks.select("track_id", "duration_ms", "released", "explicit", "genres", *features)
    joined = events.join(about.unique("track_id"), on="track_id", how="left", maintain_order="left")
    heard = pl.col("ms_played") / pl.when(pl.col("duration_ms") > 0).then("duration_ms")
    contexts = [name for name in events.columns if name.startswith(CONTEXT_PREFIX)]
    time = pl.col("timestamp")
    table = joined.select(
        time.dt.hour().alias(HOUR),
        (time.dt.weekday() - 1).replace_strict(range(7), _WEEKDAYS, return_dtype=pl.String).alias(WEEKDAY),
        pl.col("device").alias("context:device"),
        pl.col("country").alias("context:country"),
        *(pl.col(name).alias(f"context:{name.removeprefix(CONTEXT_PREFIX)}") for name in contexts),
        pl.col("event").alias("listening:event"),
        heard.clip(0, 1).alias("listening:share_heard"),
        (pl.col("duration_ms") / 1000).alias("track:duration_s"),
        _aged(pl.col("timestamp").dt.date() - pl.col("released")).alias("track:age"),
        pl.col("explicit").alias("track:explicit"),
        pl.col("genres").list.first().alias("track:genre"),
        *(pl.col(name).cast(pl.Float64).alias(f"track:{name}") for name in features),
    )
    return table if known is None else table.hstack(_familiar(events, known))


def _aged(age: pl.Expr) -> pl.Expr:
    """A few broad ages: every track grows older, and finer ones would move of themselves."""
    words = pl.lit("older")
    for days, label in reversed(_AGES):
        words = pl.when(age < pl.duration(days=days)).then(pl.lit(label)).otherwise(words)
    return pl.when(age.is_not_null()).then(words)


def _familiar(events: pl.DataFrame, known: Known) -> pl.DataFrame:
    users = events.select("user_id").join(
        known.listeners.with_columns(known=pl.lit(KNOWN)), on="user_id", how="left", maintain_order="left"
    )
    tracks = events.select("track_id").join(known.tracks, on="track_id", how="left", maintain_order="left")
    band = tracks["band"]
    return pl.DataFrame(
        {
            KNOWN_LISTENER: users["known"].fill_null(UNKNOWN),
            KNOWN_TRACK: pl.select(
                pl.when(band.is_null()).then(pl.lit(UNKNOWN)).otherwise(pl.lit(KNOWN))
            ).to_series(),
            BAND: band.fill_null(NEVER),
        }
    )
