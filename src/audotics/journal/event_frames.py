"""Events of the journal as tables for training and analysis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from audotics.data.schema import EVENTS, TIMESTAMP
from audotics.journal.event_rows import COLUMNS

_LINKS = ("event_id", "request_id")
_TYPES = {"seq": pl.Int64, "at_us": pl.Int64, "ms_played": pl.Int64, "received_us": pl.Int64}


def event_frame(rows: Sequence[Sequence[Any]], *, linked: bool) -> pl.DataFrame:
    """Rows of the events table as a table with the columns of `audotics.data.schema.EVENTS`.

    Args:
        rows: At least one, all columns in the table's order.
        linked: Whether to add ``event_id`` and ``request_id``.
    """
    schema = {column.name: _TYPES.get(column.name, pl.String) for column in COLUMNS}
    frame = pl.DataFrame(list(zip(*rows, strict=True)), schema=schema, orient="col").with_columns(
        timestamp=pl.col("at_us").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(TIMESTAMP),
        plays=pl.lit(1.0),
        position=pl.lit(None),
    )
    columns = [pl.col(name).cast(dtype) for name, dtype in EVENTS.items()]
    contexts = _contexts(frame["context"])
    wide = frame.join(contexts, on="context", how="left", maintain_order="left")
    names = sorted(set(contexts.columns) - {"context"})
    return wide.select(*columns, *names, *(_LINKS if linked else ()))


def _contexts(column: pl.Series) -> pl.DataFrame:
    """Each distinct context once: its JSON text, and a column for every name in any of them."""
    texts: list[str] = column.drop_nulls().unique().to_list()
    parsed: list[dict[str, str]] = [json.loads(text) for text in texts]
    names = {name for context in parsed for name in context}
    values = {name: [context.get(name) for context in parsed] for name in names}
    return pl.DataFrame({"context": texts, **values}, schema=dict.fromkeys(["context", *names], pl.String))
