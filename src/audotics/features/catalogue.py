"""A track's artist, album and release in the tracks table, read the same way by every feature."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.data.queries import NO_TIME
from audotics.domain import PADDING, IndexArray, TimeArray

_US_PER_DAY = 86_400_000_000

_SEPARATOR = "\x1f"
"""Stands between an artist and an album title; no title contains this control character."""


def artist_keys(track_table: pl.DataFrame) -> pl.Series:
    """Key of each track's artist ``[n_tracks]``: its id, else its name, else null."""
    return _column(track_table, pl.coalesce(_text(track_table, "artist_id"), _text(track_table, "artist")))


def album_keys(track_table: pl.DataFrame) -> pl.Series:
    """Key of each track's album ``[n_tracks]``: its id, else artist and title together, else null.

    The title alone is not enough: many artists have an album named "Greatest Hits".
    """
    artist = pl.lit(artist_keys(track_table).fill_null(""))
    titled = pl.concat_str(artist, pl.lit(_SEPARATOR), _text(track_table, "album"))
    return _column(track_table, pl.coalesce(_text(track_table, "album_id"), titled))


def text_column(track_table: pl.DataFrame, name: str) -> pl.Series:
    """A column as text ``[n_tracks]``, null where it is blank or the table has no such column."""
    return _column(track_table, _text(track_table, name))


def term_lists(table: pl.DataFrame, column: str) -> pl.Series:
    """Lists of cleaned terms ``[n_rows]``: surrounding blanks and upper case tell no two terms apart."""
    if column not in table.columns:
        return pl.Series(column, [None], dtype=pl.List(pl.String)).new_from_index(0, table.height)
    cleaned = pl.element().str.strip_chars().str.to_lowercase()
    return table.select(pl.col(column).cast(pl.List(pl.String)).list.eval(cleaned)).to_series()


def owner_codes(keys: pl.Series) -> IndexArray:
    """Dense numbers of equal keys ``[n_tracks]``, -1 where null."""
    ranks = keys.rank("dense").cast(pl.Int32) - 1
    return ranks.fill_null(PADDING).to_numpy()


class Owners:
    """Artists or albums of a catalogue as `owner_codes` numbers them, which further tracks may have, too.

    Args:
        keys: ``[n_tracks]`` key of each track's owner, null where unknown.
    """

    def __init__(self, keys: pl.Series) -> None:
        owners = pl.DataFrame({"key": keys, "code": owner_codes(keys)})
        self._known = owners.drop_nulls("key").unique("key")

    def codes_of(self, keys: pl.Series) -> IndexArray:
        """Numbers of the owners of other tracks ``[len(keys)]``: new owners are numbered behind the known.

        Args:
            keys: Made from the other tracks as the catalogue's were, null where unknown.
        """
        table = keys.alias("key").to_frame()
        fresh = table.drop_nulls().join(self._known, on="key", how="anti").unique(maintain_order=True)
        fresh = fresh.with_row_index("code", offset=self._known.height).cast({"code": pl.Int32})
        codes = pl.concat([self._known, fresh.select("key", "code")])
        found = table.join(codes, on="key", how="left", maintain_order="left")
        return found["code"].fill_null(PADDING).to_numpy()


def has_shared(codes: IndexArray) -> bool:
    """Whether some owner has several tracks; if none has, owner and track say the same."""
    return bool(np.bincount(codes[codes >= 0]).max(initial=0) > 1)


def release_times(track_table: pl.DataFrame) -> TimeArray:
    """UTC microseconds of release ``[n_tracks]``, `NO_TIME` where unknown."""
    if "released" not in track_table.columns:
        return np.full(track_table.height, NO_TIME, np.int64)
    days = track_table["released"].cast(pl.Date).cast(pl.Int64)
    return (days * _US_PER_DAY).fill_null(NO_TIME).to_numpy()


def _text(track_table: pl.DataFrame, name: str) -> pl.Expr:
    if name not in track_table.columns:
        return pl.lit(None, dtype=pl.String)
    stripped = pl.col(name).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _column(track_table: pl.DataFrame, values: pl.Expr) -> pl.Series:
    return track_table.with_columns(values.alias("__key")).get_column("__key")
