"""How each column of the schema is read: typed values, and which of them are wrong.

A value is *unknown* (null) when it is empty, and *wrong* when it says something that cannot be true.
All rules work on whole columns and take raw text as well as typed values.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import polars as pl

from audotics.data.formats.text import decode
from audotics.data.schema import CONTEXT_PREFIX, EVENT_KINDS, FEATURE_PREFIX, MAX_ID_BYTES
from audotics.data.timestamps import parse_timestamps

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No listening log is older; an earlier time is a wrong unit or a default value."""

CLOCK_SKEW = timedelta(days=1)
"""How far ahead of now an event may lie."""

MAX_TEXT_BYTES = 65_536

_NO_NUMBER = ("", "\\N", "null", "NULL", "None", "NA", "N/A")
_TRUE = ("true", "t", "yes", "y", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "0", "0.0")


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column read.

    Args:
        values: ``[n_rows]``, typed as in the schema, null where unknown or wrong.
        wrong: ``[n_rows]`` boolean, where a value cannot be taken.
        reason: Why not.
    """

    values: pl.Series
    wrong: pl.Series
    reason: str


Rule: TypeAlias = Callable[[pl.Series], ReadColumn]


def rule_for(name: str) -> Rule:
    """The rule of a column; ``name`` is of the schema, ``feature_*``, ``context_*`` or ``duration_s``."""
    if name.startswith(FEATURE_PREFIX):
        return _feature
    if name.startswith(CONTEXT_PREFIX):
        return _context
    return _identity if name in ("user_id", "track_id", "playlist_id") else _RULES[name]


def _read(values: pl.Series, wrong: pl.Series | None, reason: str) -> ReadColumn:
    if wrong is None:
        wrong = pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
    return ReadColumn(values, wrong.fill_null(value=False), reason)


def _string(values: pl.Series) -> pl.Series:
    if values.dtype.is_float() and (values.drop_nans().drop_nulls() % 1 == 0).all():
        # Whole numbers that a missing value elsewhere had turned into floats.
        values = values.fill_nan(None).cast(pl.Int64, strict=False)
    if values.dtype.is_nested():
        return pl.Series(values.name, [_as_json(value) for value in values.to_list()], dtype=pl.String)
    if values.dtype == pl.Binary:
        return pl.Series(
            values.name, [None if raw is None else decode(raw) for raw in values], dtype=pl.String
        )
    return values.cast(pl.String, strict=False)


def _as_json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str)


def _identity(values: pl.Series) -> ReadColumn:
    text = _string(values)
    wrong = (
        text.is_null()
        | (text.str.len_bytes() == 0)
        | (text.str.len_bytes() > MAX_ID_BYTES)
        | text.str.contains(r"[\x00-\x1f]")
    )
    return _read(text, wrong, f"an id must have 1 to {MAX_ID_BYTES} bytes and no control characters")


def _text(values: pl.Series) -> ReadColumn:
    text = _string(values)
    unreadable = text.is_null() & values.is_not_null()
    length = text.str.len_bytes()
    if length.min() == 0 or (text == "\\N").any():
        text = text.replace(["", "\\N"], [None, None])
    wrong = unreadable | (length > MAX_TEXT_BYTES).fill_null(value=False)
    wrong |= text.str.contains("\0", literal=True).fill_null(value=False)
    return _read(text, wrong, f"text must have at most {MAX_TEXT_BYTES:,} bytes and no NUL")


def _context(values: pl.Series) -> ReadColumn:
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        return _read(values.cast(pl.Float64), None, "")
    return _text(values)


def _timestamp(values: pl.Series) -> ReadColumn:
    times = parse_timestamps(values)
    unknown = values.is_null()
    if values.dtype == pl.String:
        unknown |= values.str.strip_chars().is_in(_NO_NUMBER)
    latest = datetime.now(UTC) + CLOCK_SKEW
    wrong = (times.is_null() & ~unknown) | (times < EARLIEST) | (times > latest)
    return _read(times, wrong, f"no time between {EARLIEST:%Y-%m-%d} and tomorrow (ISO 8601 or epoch)")


def _event(values: pl.Series) -> ReadColumn:
    kinds = _string(values)
    if not kinds.is_in(EVENT_KINDS).all():
        kinds = kinds.str.strip_chars().str.to_lowercase().replace("", None)
    kinds = kinds.fill_null(EVENT_KINDS[0])
    return _read(kinds, ~kinds.is_in(EVENT_KINDS), f"an event is one of {', '.join(EVENT_KINDS)}")


def _numbers(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Numbers, and where there is something that is none; NaN is unknown in typed columns."""
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        broken = numbers.is_null() & text.is_not_null() & ~text.is_in(_NO_NUMBER)
        return numbers, broken | numbers.is_nan().fill_null(value=False)
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        return pl.Series(values.name, [None] * len(values), dtype=pl.Float64), values.is_not_null()
    fits = values.dtype.is_integer() and values.dtype not in (pl.UInt64, pl.Int128, pl.UInt128)
    numbers = values.cast(pl.Int64) if fits else values.cast(pl.Float64).fill_nan(None)
    return numbers, pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)


def _number(
    dtype: type[pl.DataType], low: float, high: float, *, unknown: float | None = None, scale: int = 1
) -> Rule:
    reason = f"not a number between {low:,g} and {high:,g}"

    def rule(values: pl.Series) -> ReadColumn:
        numbers, broken = _numbers(values)
        numbers = numbers.cast(pl.Float64) * scale if scale != 1 else numbers
        if unknown is not None:
            numbers = numbers.set(numbers == unknown, None)
        wrong = broken | (numbers < low) | (numbers > high)
        return _read(numbers.cast(dtype, strict=False), wrong, reason)

    return rule


def _plays(values: pl.Series) -> ReadColumn:
    numbers, broken = _numbers(values)
    if values.dtype.is_float():
        broken = broken | values.is_nan()
    numbers = numbers.cast(pl.Float32, strict=False)
    wrong = broken | (numbers <= 0) | numbers.is_infinite()
    return _read(numbers.fill_null(1.0), wrong, "plays must be a number above 0")


def _feature(values: pl.Series) -> ReadColumn:
    numbers, broken = _numbers(values)
    if values.dtype == pl.String:
        broken &= values.str.strip_chars().str.to_lowercase() != "nan"
    numbers = numbers.cast(pl.Float64).fill_nan(None).cast(pl.Float32)
    return _read(numbers, broken | numbers.is_infinite(), "a feature must be a finite number")


def _date(values: pl.Series) -> ReadColumn:
    if values.dtype in (pl.Date, pl.Datetime):
        return _read(values.cast(pl.Date), None, "")
    text = _string(values)
    text = text.str.strip_chars().replace([*_NO_NUMBER, "0", "0000"], [None] * (len(_NO_NUMBER) + 2))
    text = text.str.replace(r"\.0$", "")
    whole = text.str.replace(r"^(\d{4})$", "${1}-01-01").str.replace(r"^(\d{4}-\d\d)$", "${1}-01")
    dates = whole.str.replace(r"^(\d{4}-\d\d-\d\d)[T ].*$", "${1}").str.to_date("%Y-%m-%d", strict=False)
    return _read(dates, dates.is_null() & text.is_not_null(), "no date (YYYY-MM-DD) or year")


def _boolean(values: pl.Series) -> ReadColumn:
    if values.dtype == pl.Boolean:
        return _read(values, None, "")
    text = _string(values).str.strip_chars().str.to_lowercase()
    text = text.replace(["", "\\n", "null", "none"], [None] * 4)
    flags = text.is_in(_TRUE)
    wrong = text.is_not_null() & ~flags & ~text.is_in(_FALSE)
    return _read(flags.set(text.is_null(), None), wrong, "neither true nor false")


def _texts(values: pl.Series) -> ReadColumn:
    if isinstance(values.dtype, pl.List | pl.Array):
        return _read(values.cast(pl.List(pl.String)), None, "")
    text = _string(values).str.strip_chars().replace("", None)
    is_json = text.str.starts_with("[").fill_null(value=False)
    lists = text.str.split("|").list.eval(pl.element().str.strip_chars())
    lists = lists.list.eval(pl.element().filter(pl.element() != ""))
    wrong = None
    if is_json.any():
        decoded = [
            _json_list(value, str) if known else None for value, known in zip(text, is_json, strict=True)
        ]
        from_json = pl.Series(values.name, decoded, dtype=pl.List(pl.String))
        lists = (
            lists.to_frame()
            .select(pl.when(is_json).then(from_json).otherwise(pl.col(lists.name)))
            .to_series()
        )
        wrong = lists.is_null() & is_json
    return _read(lists, wrong, "neither a|b|c nor a JSON list")


def _vector(values: pl.Series) -> ReadColumn:
    if isinstance(values.dtype, pl.List | pl.Array):
        vectors = values.cast(pl.List(pl.Float32), strict=False)
        wrong = ~vectors.list.eval(pl.element().is_finite().fill_null(value=False)).list.all()
    else:
        text = _string(values).str.strip_chars().replace("", None)
        decoded = [None if value is None else _json_list(value, float) for value in text]
        vectors = pl.Series(values.name, decoded, dtype=pl.List(pl.Float32))
        wrong = text.is_not_null() & vectors.is_null()
    return _read(vectors, wrong, "an embedding is a JSON list of finite numbers")


def _json_list(text: str, kind: type[str] | type[float]) -> list[str] | list[float] | None:
    try:
        found = json.loads(text)
        if not isinstance(found, list):
            return None
        if kind is str:
            return [str(value) for value in found if value is not None and value != ""]
        numbers = [float(value) for value in found]
        return numbers if all(abs(value) < 3e38 for value in numbers) else None
    except (ValueError, TypeError, RecursionError):
        return None


_RULES: dict[str, Rule] = {
    "timestamp": _timestamp,
    "event": _event,
    "plays": _plays,
    "position": _number(pl.Int32, 0, 2**31 - 1, unknown=-1),
    "ms_played": _number(pl.Int64, 0, 1e12),
    "duration_ms": _number(pl.Int64, 0, 1e12, unknown=0),
    "duration_s": _number(pl.Int64, 0, 1e12, unknown=0, scale=1000),
    "birth_year": _number(pl.Int32, 1900, datetime.now(UTC).year, unknown=0),
    "released": _date,
    "signed_up": _date,
    "explicit": _boolean,
    "genres": _texts,
    "tags": _texts,
    "tagged_by": _texts,
    "friends": _texts,
    "embedding": _vector,
    **dict.fromkeys(
        ("session_id", "device", "country", "title", "artist_id", "artist", "album_id", "album", "gender"),
        _text,
    ),
}
