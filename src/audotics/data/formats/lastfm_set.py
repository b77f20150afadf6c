"""What both Last.fm sets of Celma are: a file of plays without a header, and one of profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect, read_delimited
from audotics.data.formats.lastfm_profile import read_profiles
from audotics.data.formats.protocol import FormatOptions, RawTable
from audotics.data.formats.sources import named_file, names_part, select_columns
from audotics.data.formats.text import find_file


class LastfmSet:
    """Reads the folder of a set, or its file of plays alone.

    Args:
        name: Of the format.
        title: Of the set.
        plays_file: Name of the file of plays.
        profile_file: Name of the file of profiles.
        columns: Of the file of plays, which has no header.
        events: Columns of the events table, made of those of the file.
        tracks: Columns of the tracks table, made of those of the file.
        note: What the import tells of the ids.
    """

    def __init__(
        self,
        name: str,
        *,
        title: str,
        plays_file: str,
        profile_file: str,
        columns: tuple[str, ...],
        events: Mapping[str, pl.Expr],
        tracks: Mapping[str, pl.Expr],
        note: str,
    ) -> None:
        self.name = name
        self.summary = f"{title}: folder with {plays_file} and {profile_file}, or the former alone"
        self._plays_file = plays_file
        self._profile_file = profile_file
        self._dialect = Dialect("\t", columns, has_header=False, quoted=False)
        self._events = events
        self._tracks = tracks
        self._note = note

    def detects(self, source: Path) -> bool:
        """Whether the file of plays is there, known by its name."""
        return named_file(source, self._plays_file) is not None

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Plays as events, the names in them as tracks, profiles as users."""
        plays = named_file(source, self._plays_file, required=True)
        if "events" not in options.replaced:
            events = select_columns(read_delimited(plays, self._dialect), **self._events)
            yield RawTable("events", plays, events, notes=(self._note,))
        if "tracks" not in options.replaced:
            tracks = select_columns(read_delimited(plays, self._dialect), **self._tracks)
            yield names_part(plays, tracks, counted="events" in options.replaced)
        profiles = find_file(plays.parent, self._profile_file)
        if profiles is not None and "users" not in options.replaced:
            yield RawTable("users", profiles, read_profiles(profiles))
