"""Points in time as sources write them, read as UTC microseconds, whole columns at once."""

from __future__ import annotations

import polars as pl

from audotics.data.schema import TIMESTAMP

_SECONDS_BELOW = 10**11  # year 5138 in seconds, 1973 in milliseconds
_MILLISECONDS_BELOW = 10**14
_MICROSECONDS_BELOW = 10**17

_ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_OFFSET = r"^(\d{4}-\d\d-\d\d[ Tt]\d\d.*?)\s*([+-])(\d\d):?(\d\d)?$"


def parse_timestamps(values: pl.Series) -> pl.Series:
    """UTC timestamps ``[len(values)]``, null where a value is unknown or is no point in time.

    Reads typed datetimes and dates, ISO 8601 text (with ``T`` or a space, ``Z``, an offset or
    nothing, which means UTC) and epoch numbers, typed or as text. The unit of a number (seconds,
    milliseconds, microseconds, nanoseconds) is told by its magnitude, value by value, so a file that
    mixes units is read rightly for times after 1973.

    Args:
        values: A column of any type.
    """
    if isinstance(values.dtype, pl.Datetime):
        in_utc = (
            values.dt.convert_time_zone("UTC")
            if values.dtype.time_zone
            else values.dt.replace_time_zone("UTC")
        )
        return in_utc.cast(TIMESTAMP)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if values.dtype.is_numeric():
        return _from_epoch(values)
    if values.dtype == pl.String:
        return _from_text(values)
    return pl.Series(values.name, [None] * len(values), dtype=TIMESTAMP)


def _from_epoch(values: pl.Series) -> pl.Series:
    number = pl.col(values.name)
    size = number.abs()
    # Whole numbers stay whole: nanoseconds need more digits than a float has.
    scaled = (
        pl.when(size < _SECONDS_BELOW)
        .then(number * 1_000_000)
        .when(size < _MILLISECONDS_BELOW)
        .then(number * 1_000)
        .when(size < _MICROSECONDS_BELOW)
        .then(number)
        .otherwise(number / 1_000 if values.dtype.is_float() else number // 1_000)
    )
    if values.dtype.is_float():
        scaled = pl.when(number.is_finite()).then(scaled.round())
    else:
        values = values.cast(pl.Int64, strict=False)
    return values.to_frame().select(scaled.cast(pl.Int64, strict=False).cast(TIMESTAMP)).to_series()


def _from_text(values: pl.Series) -> pl.Series:
    text = values.str.strip_chars()
    whole = text.cast(pl.Int64, strict=False)
    result = _from_epoch(whole)
    for read in (_from_decimal, _from_iso):
        todo = (result.is_null() & text.is_not_null() & (text != "")).fill_null(value=False)
        if not todo.any():
            break
        result = result.scatter(todo.arg_true(), read(text.filter(todo)))
    return result


def _from_decimal(text: pl.Series) -> pl.Series:
    return _from_epoch(text.cast(pl.Float64, strict=False))


def _from_iso(text: pl.Series) -> pl.Series:
    name = pl.col(text.name)
    base = name.str.replace(r"(?i)\s*(?:z|utc|gmt)$", "")
    parts = text.to_frame().select(
        base.str.replace(_OFFSET, "${1}").str.replace(r"^(.{10})[Tt]", "${1} ").alias("local"),
        base.str.extract(_OFFSET, 2).alias("sign"),
        base.str.extract(_OFFSET, 3).cast(pl.Int64).fill_null(0).alias("hours"),
        base.str.extract(_OFFSET, 4).cast(pl.Int64).fill_null(0).alias("minutes"),
    )
    local = [
        pl.col("local").str.to_datetime(pattern, time_unit="us", strict=False) for pattern in _ISO_FORMATS
    ]
    day = pl.col("local").str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    offset = pl.duration(hours="hours", minutes="minutes")
    moment = pl.coalesce(*local, day)
    moment = pl.when(pl.col("sign") == "-").then(moment + offset).otherwise(moment - offset)
    return parts.select(moment.dt.replace_time_zone("UTC").alias(text.name)).to_series()
