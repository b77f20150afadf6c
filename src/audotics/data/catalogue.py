"""The tables beside the events: rows with a key, and parts that are laid over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from audotics.data.cleaning import reject_rows
from audotics.data.formats.protocol import LINE, TableName, no_rejects

_KEYS: dict[TableName, str] = {"tracks": "track_id", "users": "user_id", "playlists": "playlist_id"}
_FILE = "file"


@dataclass(frozen=True, slots=True)
class Finished:
    """A table ready to be written.

    Args:
        rows: Schema columns that are known, one row per key (playlists: per entry).
        n_merged: Rows that repeated another one exactly.
        rejected: Rows that contradict an earlier one with the same key.
    """

    rows: pl.DataFrame
    n_merged: int
    rejected: pl.DataFrame


class Catalogue:
    """Collects the cleaned rows of one table (in memory: catalogues are small beside events).

    Args:
        table: Which one.
    """

    def __init__(self, table: TableName) -> None:
        self._table = table
        self._key = _KEYS[table]
        self._rows: list[pl.DataFrame] = []
        self._parts: dict[str, list[pl.DataFrame]] = {}

    def add(self, rows: pl.DataFrame, file: str, part: str = "") -> None:
        """Take cleaned rows (with `LINE`): rows of the table itself, or of a part laid over it."""
        if rows.is_empty() and self._rows:
            return
        if part:
            self._parts.setdefault(part, []).append(_joined(rows.drop(LINE), self._key))
        else:
            self._rows.append(rows.with_columns(pl.lit(file).alias(_FILE)))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._rows and not self._parts

    def finish(self) -> Finished:
        """One row per key: repeated rows merged, contradictions refused, parts laid over."""
        rows, n_merged, rejected = self._own_rows()
        for frames in self._parts.values():
            part = _joined(pl.concat(frames, how="diagonal_relaxed"), self._key)
            rows = _lay_over(rows, part, self._key)
        if self._table == "playlists":
            rows = _number_entries(rows)
        return Finished(rows, n_merged, rejected)

    def _own_rows(self) -> tuple[pl.DataFrame, int, pl.DataFrame]:
        if not self._rows:
            return pl.DataFrame(schema={self._key: pl.String}), 0, no_rejects()
        rows = pl.concat(self._rows, how="diagonal_relaxed")
        origin = [LINE, _FILE]
        first = rows.drop(origin).select(pl.struct(pl.all()).is_first_distinct()).to_series()
        n_merged = rows.height - int(first.sum())
        rows = rows.filter(first)
        rejected = [no_rejects()]
        for column, reason, wrong in self._contradictions(rows):
            refused = rows.filter(wrong).group_by(_FILE, maintain_order=True)
            rejected += [reject_rows(group, column, str(name[0]), reason) for name, group in refused]
            rows = rows.filter(~wrong)
        return rows.drop(origin), n_merged, pl.concat(rejected)

    def _contradictions(self, rows: pl.DataFrame) -> Iterator[tuple[str, str, pl.Expr]]:
        """Column, reason and test of what makes a row contradict the others."""
        if self._table != "playlists":
            again = ~pl.col(self._key).is_first_distinct()
            yield self._key, "stands before with other values", again
        if "embedding" in rows.columns:
            length = pl.col("embedding").list.len()
            usual = length.drop_nulls().mode().min()
            yield "embedding", "has another length than the others", (length != usual).fill_null(value=False)


def _joined(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """One row per key: the first known value of each column, lists joined."""
    others = [name for name in rows.columns if name != key]
    lists = [name for name in others if isinstance(rows.schema[name], pl.List) and name != "embedding"]
    return rows.group_by(key, maintain_order=True).agg(
        *(pl.col(name).drop_nulls().first() for name in others if name not in lists),
        *(pl.col(name).explode().drop_nulls() for name in lists),
    )


def _lay_over(rows: pl.DataFrame, part: pl.DataFrame, key: str) -> pl.DataFrame:
    shared = [name for name in part.columns if name in rows.columns and name != key]
    both = rows.join(part, on=key, how="full", coalesce=True, suffix="_of_part", maintain_order="left_right")
    return both.with_columns(
        _joined_lists(name)
        if isinstance(part.schema[name], pl.List) and name != "embedding"
        else pl.coalesce(name, f"{name}_of_part")
        for name in shared
    ).drop(f"{name}_of_part" for name in shared)


def _joined_lists(name: str) -> pl.Expr:
    other = pl.col(f"{name}_of_part")
    both = pl.concat_list(pl.col(name).fill_null([]), other.fill_null([]))
    return pl.when(pl.col(name).is_not_null() | other.is_not_null()).then(both).alias(name)


def _number_entries(rows: pl.DataFrame) -> pl.DataFrame:
    """Entries without a position take their place in the file."""
    place = pl.int_range(pl.len(), dtype=pl.Int32).over("playlist_id")
    known = pl.col("position") if "position" in rows.columns else pl.lit(None, pl.Int32)
    numbered = rows.with_columns(pl.coalesce(known, place).cast(pl.Int32).alias("position"))
    return numbered.sort("playlist_id", "position", maintain_order=True)
