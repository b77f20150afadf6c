"""The Million Playlist Dataset: 1,000 playlists in each ``mpd.slice.*.json``.

Source: Chen, Lamere, Schedl and Zamani, "RecSys Challenge 2018: automatic music playlist
continuation". A playlist is a listener here: what the model learns is to continue it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from audotics.data.formats.json_records import in_chunks, read_document, take_objects
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    files_like,
    keep_pairs,
    known_text,
    names_part,
    select_columns,
    uri_key,
)
from audotics.errors import BadInputError

_SLICES = ("mpd.slice.*.json", "data/mpd.slice.*.json")
_TRACK_KEYS = (
    *("pos", "track_uri", "track_name", "artist_uri", "artist_name", "album_uri", "album_name"),
    "duration_ms",
)
_PLAYLIST_KEYS = ("pid", "num_edits", "num_followers")
_LINE_NOTE = "the line of a reject is the place of its playlist in the slice"

HELD_OUT = "entry that the events do not have"
"""Why an entry is not in the playlists table when other events replace the set's own."""


class MillionPlaylists:
    """Reads one slice at a time; names and descriptions of playlists are not used."""

    name = "mpd"
    summary = "Million Playlist Dataset: a file mpd.slice.*.json, or the folder with them (or with data/)"

    def detects(self, source: Path) -> bool:
        """Whether there is a slice, known by its name."""
        return bool(files_like(source, *_SLICES))

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """For each slice: entries as events and as playlists, their names as tracks, playlists as users."""
        slices = [source] if source.is_file() else files_like(source, *_SLICES)
        if not slices:
            raise BadInputError(
                "no slices here", where=str(source), remedy="Name the folder of the files mpd.slice.*.json"
            )
        for path in slices:
            yield from _tables_of(path, _read_slice(path), options)


@dataclass(frozen=True, slots=True)
class _Slice:
    """Text columns named as in the file; entries carry the ``pid`` of their playlist."""

    playlists: pl.DataFrame
    rejected_playlists: pl.DataFrame
    entries: pl.DataFrame
    rejected_entries: pl.DataFrame

    def entry_chunks(self) -> Iterator[Chunk]:
        """The entries from the beginning; several tables are made of them."""
        return in_chunks(self.entries, self.rejected_entries)


def _read_slice(path: Path) -> _Slice:
    document = read_document(path)
    values = document.get("playlists") if isinstance(document, dict) else None
    if not isinstance(values, list):
        raise BadInputError(
            "the slice has no list of playlists", where=str(path), remedy="Fetch or copy it again"
        )
    playlists = take_objects(path, enumerate(values, 1))
    entries = take_objects(
        path,
        (
            (place, {**track, "pid": playlist.get("pid")} if isinstance(track, dict) else track)
            for place, playlist in zip(playlists.places, playlists.objects, strict=True)
            for track in _tracks_of(playlist)
        ),
    )
    return _Slice(
        playlists.columns(*_PLAYLIST_KEYS),
        playlists.rejected,
        entries.columns("pid", *_TRACK_KEYS),
        entries.rejected,
    )


def _tracks_of(playlist: dict[str, Any]) -> list[Any]:
    """The entries; what stands there but is no list is one entry, to be rejected."""
    tracks = playlist.get("tracks")
    return tracks if isinstance(tracks, list) else [tracks] * (tracks is not None)


def _tables_of(path: Path, found: _Slice, options: FormatOptions) -> Iterator[RawTable]:
    counted = "events" in options.replaced
    if not counted:
        yield RawTable("events", path, _events(found), notes=(_LINE_NOTE,))
    if "tracks" not in options.replaced:
        yield names_part(path, _names(found), counted=counted)
    if "users" not in options.replaced:
        yield RawTable("users", path, _listeners(found))
    if "playlists" not in options.replaced:
        yield RawTable("playlists", path, _playlists(found, options.pairs))


def _events(found: _Slice) -> Iterator[Chunk]:
    return select_columns(
        found.entry_chunks(),
        user_id=pl.col("pid"),
        track_id=uri_key("track_uri"),
        event=pl.lit("add_to_playlist"),
        position=pl.col("pos"),
    )


def _names(found: _Slice) -> Iterator[Chunk]:
    return select_columns(
        found.entry_chunks(),
        track_id=uri_key("track_uri"),
        title=known_text("track_name"),
        artist_id=uri_key("artist_uri"),
        artist=known_text("artist_name"),
        album_id=uri_key("album_uri"),
        album=known_text("album_name"),
        duration_ms=pl.col("duration_ms"),
    )


def _listeners(found: _Slice) -> Iterator[Chunk]:
    return select_columns(
        in_chunks(found.playlists, found.rejected_playlists),
        user_id=pl.col("pid"),
        feature_num_edits=pl.col("num_edits"),
        feature_num_followers=pl.col("num_followers"),
    )


def _playlists(found: _Slice, pairs: pl.LazyFrame | None) -> Iterator[Chunk]:
    entries = select_columns(
        found.entry_chunks(),
        playlist_id=pl.col("pid"),
        track_id=uri_key("track_uri"),
        position=pl.col("pos"),
    )
    return entries if pairs is None else keep_pairs(entries, "playlist_id", pairs, HELD_OUT)


FORMAT = MillionPlaylists()
