"""HetRec 2011 Last.fm 2K: artists, how often 1,892 listeners played them, and the tags they gave.

Source: Cantador, Brusilovsky and Kuflik, 2nd workshop HetRec at RecSys 2011. The recommended
"track" is an artist here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect
from audotics.data.formats.protocol import LINE, Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import keep_pairs, read_known, reject_values, require_file, select_columns
from audotics.data.formats.text import find_file

_PLAYS = Dialect("\t", ("userID", "artistID", "weight"), quoted=False)
_ARTISTS = Dialect("\t", ("id", "name", "url", "pictureURL"), quoted=False)
_TAGS = Dialect("\t", ("tagID", "tagValue"), quoted=False)
_ASSIGNMENTS = Dialect("\t", ("userID", "artistID", "tagID", "day", "month", "year"), quoted=False)
_FRIENDS = Dialect("\t", ("userID", "friendID"), quoted=False)

_LIST = pl.List(pl.String())
_TAG_ROWS = pl.Schema({LINE: pl.Int64(), "track_id": pl.String(), "tags": _LIST, "tagged_by": _LIST})

HELD_OUT = "tag of an artist its listener has no events with"
"""Why a tag is left out when other events replace the set's own."""


class HetrecLastfm:
    """Reads the folder of the set; pictures and dates of tags are not used."""

    name = "hetrec-lastfm"
    summary = "HetRec 2011 Last.fm 2K: folder with user_artists.dat, artists.dat, user_taggedartists.dat"

    def detects(self, source: Path) -> bool:
        """Whether plays and artists of the set lie in the folder."""
        return source.is_dir() and all(
            find_file(source, name) for name in ("user_artists.dat", "artists.dat")
        )

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Play counts as events without times, artists as tracks, tags as a part of them."""
        if "events" not in options.replaced:
            plays = require_file(source, "user_artists.dat")
            yield RawTable("events", plays, _plays(plays))
        if "tracks" not in options.replaced:
            artists = require_file(source, "artists.dat")
            yield RawTable("tracks", artists, _artists(artists))
            yield from _tag_part(source, options)
        friends = find_file(source, "user_friends.dat")
        if friends is not None and "users" not in options.replaced:
            yield RawTable("users", friends, _friends(friends), part="friends")


def _plays(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_known(path, _PLAYS),
        user_id=pl.col("userID"),
        track_id=pl.col("artistID"),
        plays=pl.col("weight"),
    )


def _artists(path: Path) -> Iterator[Chunk]:
    return select_columns(
        read_known(path, _ARTISTS),
        track_id=pl.col("id"),
        title=pl.col("name"),
        artist_id=pl.col("id"),
        artist=pl.col("name"),
    )


def _tag_part(folder: Path, options: FormatOptions) -> Iterator[RawTable]:
    assignments = find_file(folder, "user_taggedartists.dat")
    if assignments is None:
        return
    names = require_file(folder, "tags.dat")
    yield RawTable("tracks", assignments, _tags(assignments, names, options.pairs), part="tags")


def _tags(path: Path, names_path: Path, pairs: pl.LazyFrame | None) -> Iterator[Chunk]:
    """One row per assignment: a tag that three listeners gave stands three times."""
    names, refused_names = _tag_names(names_path)
    yield Chunk(pl.DataFrame(schema=_TAG_ROWS), refused_names)
    given = select_columns(
        read_known(path, _ASSIGNMENTS),
        userID=pl.col("userID"),
        track_id=pl.col("artistID"),
        tagID=pl.col("tagID"),
    )
    for chunk in given if pairs is None else keep_pairs(given, "userID", pairs, HELD_OUT):
        named = chunk.rows.join(names, on="tagID", how="left", maintain_order="left")
        nameless = named.filter(pl.col("tagValue").is_null())
        yield Chunk(
            named.drop_nulls("tagValue").select(
                LINE, "track_id", tags=pl.concat_list("tagValue"), tagged_by=pl.concat_list("userID")
            ),
            pl.concat([chunk.rejected, reject_values(path, nameless, "tagID", "tag has no name")]),
            chunk.left_out,
        )


def _friends(path: Path) -> Iterator[Chunk]:
    """One row per friendship, which the set gives in both directions."""
    return select_columns(
        read_known(path, _FRIENDS), user_id=pl.col("userID"), friends=pl.concat_list("friendID")
    )


def _tag_names(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Names of tags by ``tagID``, and the lines that could not be read."""
    chunks = list(read_known(path, _TAGS))
    names = pl.concat([chunk.rows for chunk in chunks]).unique("tagID", keep="first")
    return names.select("tagID", "tagValue"), pl.concat([chunk.rejected for chunk in chunks])


FORMAT = HetrecLastfm()
