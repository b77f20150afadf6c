"""Raw columns made into schema columns, with a reason for every row that cannot be.

A row with a wrong value in any column (see `rules`) is a reject; the first such column says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from audotics.data.formats.protocol import LINE, no_rejects
from audotics.data.formats.text import SHOWN_CHARACTERS, shown
from audotics.data.rules import rule_for
from audotics.data.schema import REJECTS


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Rows that fit the schema (with `LINE`, only columns the source has) and those that do not."""

    rows: pl.DataFrame
    rejected: pl.DataFrame


def clean(rows: pl.DataFrame, file: str) -> Cleaned:
    """Type the columns of a chunk and refuse the rows that break a rule.

    Args:
        rows: A `protocol.Chunk`'s rows: schema names, raw or typed values, and `LINE`.
        file: Name to put into rejects.
    """
    typed: dict[str, pl.Series] = {LINE: rows[LINE].cast(pl.Int64)}
    refused = pl.repeat(False, rows.height, dtype=pl.Boolean, eager=True)
    rejected = [no_rejects()]
    for name in (column for column in rows.columns if column != LINE):
        read = rule_for(name)(rows[name])
        target = "duration_ms" if name == "duration_s" else name
        typed[target] = read.values.alias(target)
        if read.wrong.any():
            fresh = read.wrong & ~refused
            rejected.append(reject_rows(rows.filter(fresh), name, file, read.reason))
            refused |= read.wrong
    cleaned = pl.DataFrame(typed)
    if refused.any():
        cleaned = cleaned.filter(~refused)
    return Cleaned(cleaned, pl.concat(rejected).sort("line"))


def reject_rows(rows: pl.DataFrame, column: str, file: str, reason: str) -> pl.DataFrame:
    """Rejects for whole ``rows`` (with `LINE`) because of what stands in ``column``."""
    values = [shown(_as_text(value)[:SHOWN_CHARACTERS]) for value in rows[column]]
    return rows.select(
        pl.lit(file).alias("file"),
        pl.col(LINE).cast(pl.Int64).alias("line"),
        pl.lit(column).alias("column"),
        pl.Series("value", values, dtype=pl.String),
        pl.lit(reason).alias("reason"),
    ).match_to_schema(REJECTS)


def _as_text(value: object) -> str:
    return "" if value is None else str(value.to_list() if isinstance(value, pl.Series) else value)
