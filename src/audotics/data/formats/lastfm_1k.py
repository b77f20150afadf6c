"""Last.fm 1K users: 19 million plays with times (Celma, "Music Recommendation and Discovery", 2010)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect, read_delimited
from audotics.data.formats.lastfm_profile import read_profiles
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    known_text,
    named_file,
    named_key,
    names_part,
    select_columns,
)
from audotics.data.formats.text import find_file

_PLAYS_FILE = "userid-timestamp-artid-artname-traid-traname.tsv"
_PROFILE_FILE = "userid-profile.tsv"
_COLUMNS = ("user", "time", "artist_mbid", "artist", "track_mbid", "title")
_PLAYS = Dialect("\t", _COLUMNS, has_header=False, quoted=False)
_NAMELESS_NOTE = "a track without a MusicBrainz id is known by its artist and title"


class Lastfm1k:
    """Reads the folder of the set, or its file of plays alone."""

    name = "lastfm-1k"
    summary = f"Last.fm 1K users: folder with {_PLAYS_FILE} and {_PROFILE_FILE}, or the former alone"

    def detects(self, source: Path) -> bool:
        """Whether the file of plays is there, known by its name."""
        return named_file(source, _PLAYS_FILE) is not None

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Plays as events, their names as tracks, profiles as users."""
        plays = named_file(source, _PLAYS_FILE, required=True)
        if "events" not in options.replaced:
            yield RawTable("events", plays, _events(plays), notes=(_NAMELESS_NOTE,))
        if "tracks" not in options.replaced:
            yield names_part(plays, _names(plays), counted="events" in options.replaced)
        profiles = find_file(plays.parent, _PROFILE_FILE)
        if profiles is not None and "users" not in options.replaced:
            yield RawTable("users", profiles, read_profiles(profiles))


def _track_id() -> pl.Expr:
    return pl.coalesce(known_text("track_mbid"), named_key("artist", "title"))


def _events(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_delimited(path, _PLAYS),
        user_id=pl.col("user"),
        track_id=_track_id(),
        timestamp=pl.col("time"),
    )


def _names(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_delimited(path, _PLAYS),
        track_id=_track_id(),
        title=known_text("title"),
        artist_id=pl.coalesce(known_text("artist_mbid"), known_text("artist")),
        artist=known_text("artist"),
    )


FORMAT = Lastfm1k()
