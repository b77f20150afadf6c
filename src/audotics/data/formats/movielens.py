"""MovieLens-style ratings: ``u.data``, ``ratings.dat`` and ``ratings.csv`` with the titles beside them.

Source: Harper and Konstan, "The MovieLens Datasets: History and Context", 2015. A film stands for a
track. Ratings of 4 and more become ``like``, of 2 and less ``dislike``, those between ``play``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from audotics.data.formats.delimited import Dialect
from audotics.data.formats.protocol import Chunk, FormatOptions, RawTable
from audotics.data.formats.sources import (
    first_lines,
    has_header,
    keep_pairs,
    known_text,
    read_known,
    select_columns,
    unpacked_name,
)
from audotics.data.formats.text import find_file
from audotics.errors import BadInputError

LIKE_FROM = 4.0
DISLIKE_TO = 2.0
HELD_OUT = "tag of a track its listener has no events with"

_RATING = ("userId", "movieId", "rating", "timestamp")
_TITLE = ("movieId", "title", "genres")
_TAG = ("userId", "movieId", "tag", "timestamp")
_GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller"),
    *("War", "Western"),
)
_ITEM_100K = ("movieId", "title", "released", "video_released", "url", *_GENRES_100K)
_NO_GENRE = "(no genres listed)"


@dataclass(frozen=True, slots=True)
class _Layout:
    """One generation of the sets: a file each for ratings, titles and listeners, and how it is cut."""

    ratings: tuple[str, Dialect]
    titles: tuple[str, Dialect]
    listeners: tuple[str, Dialect] | None
    tags: tuple[str, Dialect] | None


def _dialect(separator: str, columns: tuple[str, ...]) -> Dialect:
    csv = separator == ","
    return Dialect(separator, columns, has_header=csv, quoted=csv)


_LAYOUTS = (
    _Layout(
        ("ratings.csv", _dialect(",", _RATING)),
        ("movies.csv", _dialect(",", _TITLE)),
        None,
        ("tags.csv", _dialect(",", _TAG)),
    ),
    _Layout(
        ("ratings.dat", _dialect("::", _RATING)),
        ("movies.dat", _dialect("::", _TITLE)),
        ("users.dat", _dialect("::", ("userId", "gender", "age", "occupation", "zip"))),
        ("tags.dat", _dialect("::", _TAG)),
    ),
    _Layout(
        ("u.data", _dialect("\t", _RATING)),
        ("u.item", _dialect("|", _ITEM_100K)),
        ("u.user", _dialect("|", ("userId", "age", "gender", "occupation", "zip"))),
        None,
    ),
)


class MovieLens:
    """Reads a folder of the set, or its file of ratings alone; ages and occupations are not used."""

    name = "movielens"
    summary = "MovieLens-style ratings: folder with ratings.csv, ratings.dat or u.data, or that file"

    def detects(self, source: Path) -> bool:
        """Whether a file of ratings is there by its name, cut into four as it should be."""
        found = _find_layout(source)
        if found is None:
            return False
        layout, ratings = found
        dialect = layout.ratings[1]
        if dialect.has_header:
            return has_header(ratings, dialect.separator, *dialect.columns)
        lines = first_lines(ratings, 5)
        return bool(lines) and all(line.count(dialect.separator) == len(_RATING) - 1 for line in lines)

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """Ratings as events, titles and tags as tracks, the gender of listeners as users."""
        found = _find_layout(source)
        if found is None:
            raise BadInputError(
                "no ratings here",
                where=str(source),
                remedy="Name the folder with ratings.csv, ratings.dat or u.data",
            )
        layout, ratings = found
        if "events" not in options.replaced:
            yield RawTable("events", ratings, _events(ratings, layout.ratings[1]))
        if source.is_dir():
            yield from _content(source, layout, options)


def _find_layout(source: Path) -> tuple[_Layout, Path] | None:
    for layout in _LAYOUTS:
        name = layout.ratings[0]
        if source.is_dir():
            path = find_file(source, name)
        else:
            path = source if unpacked_name(source) == name else None
        if path is not None:
            return layout, path
    return None


def _events(path: Path, dialect: Dialect) -> Iterator[Chunk]:
    rating = pl.col("rating").cast(pl.Float64, strict=False)
    event = (
        pl.when(rating >= LIKE_FROM)
        .then(pl.lit("like"))
        .when(rating <= DISLIKE_TO)
        .then(pl.lit("dislike"))
        .when(rating.is_not_null())
        .then(pl.lit("play"))
        .otherwise(pl.concat_str(pl.lit("rating "), pl.col("rating").fill_null("")))
    )
    return select_columns(
        read_known(path, dialect),
        user_id=pl.col("userId"),
        track_id=pl.col("movieId"),
        timestamp=pl.col("timestamp"),
        event=event,
    )


def _content(folder: Path, layout: _Layout, options: FormatOptions) -> Iterator[RawTable]:
    titles = find_file(folder, layout.titles[0])
    if titles is not None and "tracks" not in options.replaced:
        yield RawTable("tracks", titles, _titles(titles, layout.titles[1]))
        tags = find_file(folder, layout.tags[0]) if layout.tags else None
        if layout.tags and tags is not None:
            yield RawTable("tracks", tags, _tags(tags, layout.tags[1], options.pairs), part="tags")
    listeners = find_file(folder, layout.listeners[0]) if layout.listeners else None
    if layout.listeners and listeners is not None and "users" not in options.replaced:
        yield RawTable("users", listeners, _listeners(listeners, layout.listeners[1]))


def _titles(path: Path, dialect: Dialect) -> Iterator[Chunk]:
    """Titles, the year out of ``Toy Story (1995)``, and genres."""
    return select_columns(
        read_known(path, dialect),
        track_id=pl.col("movieId"),
        title=known_text("title"),
        released=pl.col("title").str.extract(r"\((\d{4})\)\s*$"),
        genres=_genres(dialect),
    )


def _genres(dialect: Dialect) -> pl.Expr:
    if "genres" in dialect.columns:
        return pl.when(pl.col("genres") != _NO_GENRE).then(pl.col("genres").str.split("|"))
    flags = [pl.when(pl.col(name) == "1").then(pl.lit(name)) for name in _GENRES_100K]
    return pl.concat_list(flags).list.drop_nulls()


def _tags(path: Path, dialect: Dialect, pairs: pl.LazyFrame | None) -> Iterator[Chunk]:
    given = select_columns(
        read_known(path, dialect),
        userId=pl.col("userId"),
        track_id=pl.col("movieId"),
        tags=pl.concat_list(known_text("tag")).list.drop_nulls(),
        tagged_by=pl.when(known_text("tag").is_null()).then([]).otherwise(pl.concat_list("userId")),
    )
    allowed = given if pairs is None else keep_pairs(given, "userId", pairs, HELD_OUT)
    return select_columns(allowed, **{name: pl.col(name) for name in ("track_id", "tags", "tagged_by")})


def _listeners(path: Path, dialect: Dialect) -> Iterator[Chunk]:
    return select_columns(read_known(path, dialect), user_id=pl.col("userId"), gender=known_text("gender"))


FORMAT = MovieLens()
