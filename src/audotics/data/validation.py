"""What holds for every table of a Dataset, as pandera schemas; the last gate before the disk.

Importers refuse single rows long before (`cleaning`). Here whole tables are checked, also those that
other producers hand to `DatasetWriter`; a failure is a fault of the producer.
"""

from __future__ import annotations

from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaError

from audotics.data.formats.protocol import TableName
from audotics.data.schema import (
    CONTEXT_PREFIX,
    EVENT_KINDS,
    EVENTS,
    FEATURE_PREFIX,
    MAX_ID_BYTES,
    PLAYLISTS,
    TRACKS,
    USERS,
)
from audotics.errors import BadInputError

_SCHEMAS = {"events": EVENTS, "tracks": TRACKS, "users": USERS, "playlists": PLAYLISTS}
_REQUIRED = {"user_id", "track_id", "playlist_id", "event", "plays"}
_UNIQUE: dict[str, list[str] | None] = {"tracks": ["track_id"], "users": ["user_id"]}


def complete(table: TableName, frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with all columns of the schema, in its order (null where absent), then the free ones.

    Raises:
        BadInputError: A column has no place in the table or cannot take the schema's type.
    """
    schema = _SCHEMAS[table]
    prefix = CONTEXT_PREFIX if table == "events" else FEATURE_PREFIX
    free = [name for name in frame.columns if name not in schema]
    if foreign := [name for name in free if not name.startswith(prefix) or table == "playlists"]:
        raise BadInputError(f"the {table} table has no column {', '.join(foreign)}")
    defaults = {"event": pl.lit(EVENT_KINDS[0]), "plays": pl.lit(1.0)}
    try:
        return frame.select(
            *(
                (pl.col(name) if name in frame.columns else defaults.get(name, pl.lit(None)))
                .cast(dtype)
                .alias(name)
                for name, dtype in schema.items()
            ),
            *free,
        )
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"a column of the {table} table has the wrong type ({error})") from error


def check_table(table: TableName, frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` itself, once every rule of the schema holds for it.

    Args:
        table: Which rules.
        frame: As `complete` makes it.

    Raises:
        BadInputError: Naming the first column and rule that fail.
    """
    try:
        checked: pl.DataFrame = _rules(table).validate(frame)
    except SchemaError as error:
        reason = str(error).splitlines()[0][:300]
        raise BadInputError(f"the {table} table breaks its schema: {reason}") from error
    return checked


@cache
def _rules(table: TableName) -> pa.DataFrameSchema:
    columns = {
        name: pa.Column(dtype, nullable=name not in _REQUIRED, checks=_checks(name))
        for name, dtype in _SCHEMAS[table].items()
    }
    if table in ("tracks", "users"):
        columns[f"^{FEATURE_PREFIX}.*$"] = pa.Column(pl.Float32, nullable=True, regex=True, required=False)
    return pa.DataFrameSchema(columns, unique=_UNIQUE.get(table), name=table)


def _checks(name: str) -> list[pa.Check]:
    if name in ("user_id", "track_id", "playlist_id"):
        return [pa.Check(_has_id_length, name=f"1 to {MAX_ID_BYTES} bytes")]
    if name == "event":
        return [pa.Check.isin(EVENT_KINDS)]
    if name == "plays":
        return [pa.Check.gt(0)]
    return [pa.Check.ge(0)] if name in ("position", "ms_played", "duration_ms") else []


def _has_id_length(data: pa.PolarsData) -> pl.LazyFrame:
    return data.lazyframe.select(pl.col(data.key).str.len_bytes().is_between(1, MAX_ID_BYTES))
