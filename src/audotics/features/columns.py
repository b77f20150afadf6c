"""Which columns of a table carry features, of what kind, and how their cells are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from audotics.errors import BadInputError
from audotics.features.catalogue import album_keys, artist_keys, term_lists, text_column

_NO_FEATURES = frozenset({"track_id", "user_id", "title", "artist_id", "album_id"})
"""Columns that name a row (or, with `_OWNERS`, are read as part of another column)."""

_OWNERS = {"artist": artist_keys, "album": album_keys}


def find_columns(table: pl.DataFrame) -> dict[str, str | int]:
    """Kind of each column that may carry features.

    ``numeric``: numbers, booleans and dates (as their year) with at least two different values;
    ``text``: strings, an artist and an album read from id and name together; ``terms``: lists of
    strings; the length of the vector: lists of numbers, all equally long.
    """
    kinds: dict[str, str | int] = {}
    for name, dtype in table.schema.items():
        if name in _NO_FEATURES or table[name].null_count() == table.height:
            continue
        if dtype.is_numeric() or _is_date(dtype) or dtype == pl.Boolean:
            if _numbers(table, name).n_unique() > 1:
                kinds[name] = "numeric"
        elif isinstance(dtype, pl.List | pl.Array):
            kinds[name] = _list_kind(table[name])
        elif dtype == pl.String or dtype == pl.Categorical or dtype == pl.Enum:
            kinds[name] = "text"
    for name in _OWNERS:
        ids = f"{name}_id"
        if ids in table.columns and table[ids].null_count() < table.height:
            kinds[name] = "text"
    return kinds


def read_columns(table: pl.DataFrame, kinds: dict[str, str | int]) -> pl.DataFrame:
    """The columns of the given kinds, numbers as Float64 (NaN where unknown), vectors one column per place.

    Raises:
        BadInputError: A column is missing or holds something else than when the kinds were found.
    """
    columns: list[pl.Series] = []
    for name, kind in kinds.items():
        if name not in table.columns and not (name in _OWNERS and f"{name}_id" in table.columns):
            raise BadInputError(
                f"the table has no column '{name}'", remedy="Give every column that `fit` had"
            )
        try:
            columns.extend(_read(table, name, kind))
        except pl.exceptions.PolarsError as error:
            raise BadInputError(f"column '{name}' is no longer of the kind {kind}: {error}") from error
    return _table(columns, table.height)


def vector_places(name: str, length: int) -> list[str]:
    """Names of the columns that `read_columns` makes of a vector."""
    return [f"{name}_{place}" for place in range(length)]


def from_pandas(frame: Any) -> pl.DataFrame:
    """A pandas table as a polars table; NaN, NaT and None in columns of objects become null."""
    return _table([_from_pandas_column(str(name), frame[name]) for name in frame.columns], len(frame))


def _table(columns: list[pl.Series], height: int) -> pl.DataFrame:
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=height)


def _from_pandas_column(name: str, column: Any) -> pl.Series:
    values = column.to_numpy()
    if isinstance(column.dtype, np.dtype) and values.dtype.kind in "biuf":
        return pl.Series(name, values)
    if isinstance(column.dtype, np.dtype) and values.dtype.kind == "M":
        return pl.Series(name, values.astype("datetime64[us]"))
    cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in column.tolist()]
    missing = column.isna().tolist()
    return pl.Series(name, [None if gone else cell for cell, gone in zip(cells, missing, strict=True)])


def _list_kind(column: pl.Series) -> str | int:
    inner = column.dtype.inner  # type: ignore[attr-defined]
    if not inner.is_numeric():
        return "terms"
    lengths = column.drop_nulls().cast(pl.List(pl.Float64)).list.len().unique()
    if len(lengths) != 1:
        raise BadInputError(
            f"vectors of column '{column.name}' are not equally long", remedy="Give one length to all"
        )
    return int(lengths[0])


def _read(table: pl.DataFrame, name: str, kind: str | int) -> list[pl.Series]:
    if kind == "numeric":
        return [_numbers(table, name)]
    if kind == "terms":
        return [term_lists(table, name).alias(name)]
    if kind == "text":
        return [_OWNERS.get(name, lambda rows: text_column(rows, name))(table).alias(name)]
    places = vector_places(name, int(kind))
    lists = table[name].cast(pl.List(pl.Float64))
    cells = pl.DataFrame(
        [lists.list.get(place, null_on_oob=True).alias(key) for place, key in enumerate(places)]
    )
    return cells.select(_finite(cs.all())).get_columns()


def _numbers(table: pl.DataFrame, name: str) -> pl.Series:
    column = pl.col(name).dt.year() if _is_date(table.schema[name]) else pl.col(name)
    return table.select(_finite(column.cast(pl.Float64)).alias(name)).to_series()


def _is_date(dtype: pl.DataType) -> bool:
    return dtype == pl.Date or dtype == pl.Datetime


def _finite(column: pl.Expr) -> pl.Expr:
    return pl.when(column.is_finite()).then(column).otherwise(float("nan"))
