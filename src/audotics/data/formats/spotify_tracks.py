"""The Spotify hit predictor set: tracks of six decades with audio features, one file a decade.

A catalogue without listeners: there are no events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import read_delimited
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    files_like,
    has_header,
    header_dialect,
    known_text,
    select_columns,
    uri_key,
)
from audotics.errors import BadInputError

_FILES = "dataset-of-*s.csv"
_KEYS = ("track", "artist", "uri", "danceability")
_FEATURES = (
    *("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness"),
    *("instrumentalness", "liveness", "valence", "tempo", "time_signature", "chorus_hit", "sections"),
)
_NOTE = "whether a track was a hit (target) is not used: a service does not know it beforehand"


class SpotifyTracks:
    """Reads the files of the decades, or one of them."""

    name = "spotify-tracks"
    summary = "Spotify hit predictor tracks (no listeners): dataset-of-*.csv with audio features"

    def detects(self, source: Path) -> bool:
        """Whether there is a file of a decade with the set's columns."""
        files = files_like(source, _FILES)
        return bool(files) and has_header(files[0], ",", *_KEYS)

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Tracks with features; one that stands in two decades is one track."""
        files = [source] if source.is_file() else files_like(source, _FILES)
        if not files:
            raise BadInputError(
                "no tracks here", where=str(source), remedy="Name the folder of the files dataset-of-*.csv"
            )
        if "tracks" not in options.replaced:
            for path in files:
                yield RawTable("tracks", path, _tracks(path), part="decades", notes=(_NOTE,))


def _tracks(path: Path) -> Iterator[Chunk]:
    dialect = header_dialect(path, *_KEYS, *_FEATURES, "duration_ms")
    return select_columns(
        read_delimited(path, dialect),
        track_id=uri_key("uri"),
        title=known_text("track"),
        artist_id=known_text("artist"),
        artist=known_text("artist"),
        duration_ms=pl.col("duration_ms"),
        **{f"feature_{name}": pl.col(name) for name in _FEATURES},
    )


FORMAT = SpotifyTracks()
