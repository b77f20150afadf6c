"""Last.fm 360K users: the artists each listener played most and how often (Celma 2010).

The recommended "track" is an artist here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect, read_delimited
from audotics.data.formats.lastfm_profile import read_profiles
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import known_text, named_file, names_part, select_columns
from audotics.data.formats.text import find_file

_PLAYS_FILE = "usersha1-artmbid-artname-plays.tsv"
_PROFILE_FILE = "usersha1-profile.tsv"
_PLAYS = Dialect("\t", ("user", "artist_mbid", "artist", "plays"), has_header=False, quoted=False)
_NAMELESS_NOTE = "an artist without a MusicBrainz id is known by name"


class Lastfm360k:
    """Reads the folder of the set, or its file of plays alone."""

    name = "lastfm-360k"
    summary = f"Last.fm 360K users: folder with {_PLAYS_FILE} and {_PROFILE_FILE}, or the former alone"

    def detects(self, source: Path) -> bool:
        """Whether the file of plays is there, known by its name."""
        return named_file(source, _PLAYS_FILE) is not None

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Play counts as events without times, artists as tracks, profiles as users."""
        plays = named_file(source, _PLAYS_FILE, required=True)
        if "events" not in options.replaced:
            yield RawTable("events", plays, _events(plays), notes=(_NAMELESS_NOTE,))
        if "tracks" not in options.replaced:
            yield names_part(plays, _names(plays), counted="events" in options.replaced)
        profiles = find_file(plays.parent, _PROFILE_FILE)
        if profiles is not None and "users" not in options.replaced:
            yield RawTable("users", profiles, read_profiles(profiles))


def _artist_key() -> pl.Expr:
    return pl.coalesce(known_text("artist_mbid"), known_text("artist"))


def _events(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_delimited(path, _PLAYS),
        user_id=pl.col("user"),
        track_id=_artist_key(),
        plays=pl.col("plays"),
    )


def _names(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_delimited(path, _PLAYS),
        track_id=_artist_key(),
        title=known_text("artist"),
        artist_id=_artist_key(),
        artist=known_text("artist"),
    )


FORMAT = Lastfm360k()
