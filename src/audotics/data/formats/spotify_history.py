"""Extended streaming history of one Spotify account, as the service hands it out on request.

Layout: "Understanding my data" in Spotify's help pages and the read-me inside the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.json_records import Records, in_chunks, read_document, take_objects
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    files_like,
    known_text,
    named_key,
    names_part,
    select_columns,
    uri_key,
)
from audotics.errors import BadInputError

_FILES = ("Streaming_History_Audio_*.json", "endsong_*.json", "endsong.json")
_PATTERNS = tuple(f"{folder}{name}" for folder in ("", "*/") for name in _FILES)
_KEYS = (
    *("ts", "username", "platform", "ms_played", "conn_country", "reason_end", "skipped"),
    *("master_metadata_track_name", "master_metadata_album_artist_name"),
    *("master_metadata_album_album_name", "spotify_track_uri"),
    *("spotify_episode_uri", "audiobook_uri", "audiobook_chapter_uri"),
)
_SPOKEN = ("spotify_episode_uri", "audiobook_uri", "audiobook_chapter_uri")
_NEXT_BUTTON = ("fwdbtn", "nextbtn")
_TO_THE_END = "trackdone"
_DEVICES = (
    ("web", "web"),
    ("android", "android"),
    ("ios|iphone|ipad", "ios"),
    ("windows", "windows"),
    ("os x|osx|macos", "macos"),
    ("linux", "linux"),
)
_NOTES = (
    "the line of a reject is the place of its entry in the file",
    "times are when a stream ended",
)

ACCOUNT = "me"
"""The listener, where the history does not name the account."""

SPOKEN = "podcast or audiobook"
SILENT = "stream of 0 ms that was not skipped"


class SpotifyHistory:
    """Reads the files of an account; the account is one listener.

    A stream that ran to the end is ``complete``, one left by the button for the next track (or
    marked as skipped) a ``skip``, any other a ``play``.
    """

    name = "spotify-history"
    summary = "Spotify extended streaming history: folder with (or one of) Streaming_History_Audio_*.json"

    def detects(self, source: Path) -> bool:
        """Whether there are files of the history, known by their names."""
        return bool(files_like(source, *_PATTERNS))

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """For each file: its streams as events, what they say of their tracks as tracks."""
        files = [source] if source.is_file() else files_like(source, *_PATTERNS)
        if not files:
            raise BadInputError(
                "no streaming history here",
                where=str(source),
                remedy="Name the folder of the files Streaming_History_Audio_*.json",
            )
        for path in files:
            streams = _read_streams(path)
            if "events" not in options.replaced:
                yield RawTable("events", path, _events(streams), notes=_NOTES)
            if "tracks" not in options.replaced:
                yield names_part(path, _names(streams), counted="events" in options.replaced)


def _read_streams(path: Path) -> Records:
    values = read_document(path)
    if not isinstance(values, list):
        raise BadInputError("the history is no list of streams", where=str(path), remedy="Request it again")
    return take_objects(path, enumerate(values, 1))


def _music(streams: Records) -> Iterator[Chunk]:
    """Streams of tracks; what is spoken and what was never heard is left out."""
    rows = streams.columns(*_KEYS)
    spoken = pl.any_horizontal(pl.col(_SPOKEN).is_not_null()) & pl.col("spotify_track_uri").is_null()
    silent = (pl.col("ms_played") == "0") & (_event() != "skip")
    music = rows.filter(~spoken)
    heard = music.filter(~silent.fill_null(value=False))
    left_out = {SPOKEN: rows.height - music.height, SILENT: music.height - heard.height}
    yield Chunk(heard.clear(), streams.rejected, left_out)
    yield from in_chunks(heard, streams.rejected.clear())


def _event() -> pl.Expr:
    skipped = (pl.col("skipped") == "true") | pl.col("reason_end").is_in(_NEXT_BUTTON)
    return (
        pl.when(pl.col("reason_end") == _TO_THE_END)
        .then(pl.lit("complete"))
        .when(skipped.fill_null(value=False))
        .then(pl.lit("skip"))
        .otherwise(pl.lit("play"))
    )


def _device() -> pl.Expr:
    """The kind of device out of texts like ``Android OS 12 API 32 (Google, Pixel 5)``."""
    platform = pl.col("platform").str.to_lowercase()
    kinds = [pl.when(platform.str.contains(mark)).then(pl.lit(kind)) for mark, kind in _DEVICES]
    return pl.coalesce(*kinds, pl.when(platform != "").then(pl.lit("other")))


def _events(streams: Records) -> Iterator[Chunk]:
    return select_columns(
        _music(streams),
        user_id=pl.coalesce(known_text("username"), pl.lit(ACCOUNT)),
        track_id=uri_key("spotify_track_uri"),
        timestamp=pl.col("ts"),
        event=_event(),
        ms_played=pl.col("ms_played"),
        device=_device(),
        country=known_text("conn_country"),
    )


def _names(streams: Records) -> Iterator[Chunk]:
    return select_columns(
        _music(streams),
        track_id=uri_key("spotify_track_uri"),
        title=known_text("master_metadata_track_name"),
        artist_id=known_text("master_metadata_album_artist_name"),
        artist=known_text("master_metadata_album_artist_name"),
        album_id=named_key("master_metadata_album_artist_name", "master_metadata_album_album_name"),
        album=known_text("master_metadata_album_album_name"),
    )


FORMAT = SpotifyHistory()
