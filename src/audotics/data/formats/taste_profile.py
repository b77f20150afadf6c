"""Echo Nest Taste Profile of the Million Song Dataset: play counts by listener and song.

Source: McFee, Bertin-Mahieux, Ellis and Lanckriet, "The Million Song Dataset Challenge", WWW 2012.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect, read_delimited
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    first_lines,
    known_text,
    named_file,
    select_columns,
    unpacked_name,
)
from audotics.data.formats.text import find_file

_TRIPLETS_FILE = "train_triplets.txt"
_TRIPLETS = Dialect("\t", ("user", "song", "plays"), has_header=False, quoted=False)
_SONGS_FILE = "unique_tracks.txt"
_SONGS = Dialect("<SEP>", ("track", "song", "artist", "title"), has_header=False, quoted=False)
_SONG_ID = r"^SO[A-Z0-9]{16}$"


class TasteProfile:
    """Reads the triplets, and names of songs from ``unique_tracks.txt`` where it lies beside them."""

    name = "taste-profile"
    summary = f"Echo Nest Taste Profile: {_TRIPLETS_FILE} (user, song, plays), optionally {_SONGS_FILE}"

    def detects(self, source: Path) -> bool:
        """Whether the file of triplets is there by its name, or a file's first line has a song id."""
        if named_file(source, _TRIPLETS_FILE) is not None:
            return True
        if source.is_dir() or not unpacked_name(source).endswith(".txt"):
            return False
        fields = [line.split("\t") for line in first_lines(source, 5)]
        songs = pl.Series([row[1] for row in fields if len(row) == 3], dtype=pl.String)
        return bool(fields) and len(songs) == len(fields) and bool(songs.str.contains(_SONG_ID).all())

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Play counts as events without times, names of songs as tracks."""
        triplets = source if source.is_file() else named_file(source, _TRIPLETS_FILE, required=True)
        if "events" not in options.replaced:
            yield RawTable("events", triplets, _events(triplets))
        songs = find_file(triplets.parent, _SONGS_FILE)
        if songs is not None and "tracks" not in options.replaced:
            # As a part: a song stands there once for each of its recordings, the first names it.
            yield RawTable("tracks", songs, _songs(songs), part="names")


def _events(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_delimited(path, _TRIPLETS),
        user_id=pl.col("user"),
        track_id=pl.col("song"),
        plays=pl.col("plays"),
    )


def _songs(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_delimited(path, _SONGS),
        track_id=pl.col("song"),
        title=known_text("title"),
        artist_id=known_text("artist"),
        artist=known_text("artist"),
    )


FORMAT = TasteProfile()
