"""The four tables of a Dataset and their columns, the contract every importer writes to."""

from __future__ import annotations

import polars as pl

SCHEMA_VERSION = 1

TIMESTAMP = pl.Datetime("us", "UTC")

EVENT_KINDS = ("play", "complete", "skip", "like", "dislike", "add_to_playlist")
"""Values of the ``event`` column; the first is the default."""

EVENTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "user_id": pl.String,
    "track_id": pl.String,
    "timestamp": TIMESTAMP,
    "event": pl.String,
    "plays": pl.Float32,
    "position": pl.Int32,
    "ms_played": pl.Int64,
    "session_id": pl.String,
    "device": pl.String,
    "country": pl.String,
}
"""Columns that every events table has, in this order; ``context_*`` columns follow.

``timestamp`` is null in every row of data without times. ``plays`` is how many plays the row
stands for (1 unless the source counts). ``position`` is the place in the listener's own order
where the source has order but no times (playlists, sequences); null otherwise.
"""

TRACKS: dict[str, pl.DataType | type[pl.DataType]] = {
    "track_id": pl.String,
    "title": pl.String,
    "artist_id": pl.String,
    "artist": pl.String,
    "album_id": pl.String,
    "album": pl.String,
    "duration_ms": pl.Int64,
    "released": pl.Date,
    "explicit": pl.Boolean,
    "genres": pl.List(pl.String),
    "tags": pl.List(pl.String),
    "tagged_by": pl.List(pl.String),
    "embedding": pl.List(pl.Float32),
}
"""Columns that every tracks table has (null where unknown); ``feature_*`` floats follow.

``tags`` is a multiset: a tag that three listeners gave stands three times. ``tagged_by`` holds the
listener who gave each of them, in the same order, null where the source does not say.
"""

USERS: dict[str, pl.DataType | type[pl.DataType]] = {
    "user_id": pl.String,
    "country": pl.String,
    "birth_year": pl.Int32,
    "gender": pl.String,
    "signed_up": pl.Date,
    "friends": pl.List(pl.String),
}
"""Columns that every users table has (``friends``: ids of other listeners); ``feature_*`` floats follow."""

PLAYLISTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "playlist_id": pl.String,
    "position": pl.Int32,
    "track_id": pl.String,
}

REJECTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.String,
    "value": pl.String,
    "reason": pl.String,
}

FEATURE_PREFIX = "feature_"
CONTEXT_PREFIX = "context_"
MAX_ID_BYTES = 256
