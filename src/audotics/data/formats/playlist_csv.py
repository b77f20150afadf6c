"""Playlists as tables: which track stands where, as in the RecSys challenge of Politecnico di Milano."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import read_delimited
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    first_lines,
    has_header,
    header_dialect,
    keep_pairs,
    select_columns,
)
from audotics.data.formats.text import find_file
from audotics.errors import BadInputError

_ENTRIES = ("train", "other_playlists")
_KEYS = ("playlist_id", "track_id")
_TRACK_COLUMNS = ("track_id", "title", "artist_id", "artist", "album_id", "album", "duration_ms")
HELD_OUT = "entry that the events do not have"
"""Why an entry is not in the playlists table when other events replace the set's own."""

_TEST_NOTE = "test.tsv is not read: it holds the answers"


class PlaylistCsv:
    """Reads a file of playlist entries, or a folder with entries, tracks and playlists."""

    name = "playlist-csv"
    summary = "playlists: a csv or tsv with playlist_id, track_id, position; or a folder with train.tsv of it"

    def detects(self, source: Path) -> bool:
        """Whether the entries have a header with the two ids."""
        entries = _entry_files(source)
        if not entries:
            return False
        lines = first_lines(entries[0], 1)
        return bool(lines) and any(has_header(entries[0], mark, *_KEYS) for mark in "\t,;")

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Entries as events and as playlists, the catalogue, and what is known of the playlists."""
        entries = _entry_files(source)
        if not entries:
            raise BadInputError(
                "no playlist entries here",
                where=str(source),
                remedy="Name the file of playlist_id, track_id, position train.tsv, or give the file itself",
            )
        if "events" not in options.replaced:
            for path in entries:
                notes = (_TEST_NOTE,) if _table_file(path.parent, "test") else ()
                yield RawTable("events", path, _events(path), notes=notes)
        tracks = _table_file(source, "tracks")
        if tracks is not None and "tracks" not in options.replaced:
            yield RawTable("tracks", tracks, _tracks(tracks))
        playlists = _table_file(source, "playlists")
        if playlists is not None and "users" not in options.replaced:
            yield RawTable("users", playlists, _listeners(playlists))
        if "playlists" not in options.replaced:
            for path in entries:
                yield RawTable("playlists", path, _playlists(path, options.pairs))


def _table_file(source: Path, stem: str) -> Path | None:
    if source.is_file():
        return None
    found = (find_file(source, f"{stem}{suffix}") for suffix in (".tsv", ".csv"))
    return next((path for path in found if path is not None), None)


def _entry_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = (_table_file(source, stem) for stem in _ENTRIES)
    return [path for path in found if path is not None]


def _rows(path: Path, *needed: str) -> tuple[Iterator[Chunk], tuple[str, ...]]:
    dialect = header_dialect(path, *needed)
    return read_delimited(path, dialect), dialect.columns


def _position(columns: tuple[str, ...]) -> dict[str, pl.Expr]:
    return {"position": pl.col("position")} if "position" in columns else {}


def _events(path: Path) -> Iterator[Chunk]:
    chunks, columns = _rows(path, *_KEYS)
    return select_columns(
        chunks,
        user_id=pl.col("playlist_id"),
        track_id=pl.col("track_id"),
        event=pl.lit("add_to_playlist"),
        **_position(columns),
    )


def _playlists(path: Path, pairs: pl.LazyFrame | None) -> Iterator[Chunk]:
    chunks, columns = _rows(path, *_KEYS)
    entries = select_columns(
        chunks, playlist_id=pl.col("playlist_id"), track_id=pl.col("track_id"), **_position(columns)
    )
    return entries if pairs is None else keep_pairs(entries, "playlist_id", pairs, HELD_OUT)


def _tracks(path: Path) -> Iterator[Chunk]:
    chunks, columns = _rows(path, "track_id")
    wanted = {name: pl.col(name) for name in _TRACK_COLUMNS if name in columns}
    if "duration_sec" in columns:
        wanted["duration_s"] = pl.col("duration_sec")
    return select_columns(chunks, **wanted)


def _listeners(path: Path) -> Iterator[Chunk]:
    """Counts that describe a playlist (``num_*``) become features of the listener."""
    chunks, columns = _rows(path, "playlist_id")
    counts = {f"feature_{name}": pl.col(name) for name in columns if name.startswith("num_")}
    return select_columns(chunks, user_id=pl.col("playlist_id"), **counts)


FORMAT = PlaylistCsv()
