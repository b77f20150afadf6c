from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.schema import TIMESTAMP
from audotics.data.timestamps import parse_timestamps

NOON = datetime(2021, 3, 4, 12, 0, tzinfo=UTC)
NOON_S = 1_614_859_200

since_1990 = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    "text",
    [
        "2021-03-04T12:00:00Z",
        "2021-03-04T12:00:00z",
        "2021-03-04T12:00:00",
        "2021-03-04 12:00:00",
        "2021-03-04 12:00",
        "2021-03-04T12:00",
        "2021-03-04 12:00:00.000000",
        "2021-03-04T14:00:00+02:00",
        "2021-03-04T14:00:00+0200",
        "2021-03-04T14:00:00 +02",
        "2021-03-04T06:30:00-05:30",
        "2021-03-04 12:00:00 UTC",
        "  2021-03-04T12:00:00Z ",
        str(NOON_S),
        f"{NOON_S}.0",
        f"{NOON_S}000",
        f"{NOON_S}000000",
        f"{NOON_S}000000000",
    ],
)
def test_one_moment_in_many_spellings(text: str) -> None:
    assert parse_timestamps(pl.Series("t", [text])).to_list() == [NOON]


def test_spellings_may_differ_from_row_to_row() -> None:
    spellings = [
        "2021-03-04T12:00:00Z",
        str(NOON_S),
        f"{NOON_S}000",
        None,
        "",
        "nonsense",
        "2021-03-04 12:00",
    ]
    assert parse_timestamps(pl.Series("t", spellings)).to_list() == [NOON, NOON, NOON, None, None, None, NOON]


@pytest.mark.parametrize(
    "text",
    ["2021-13-01", "2021-02-30", "12:00", "yesterday", "NaN", "inf", "9" * 30, "2021-03-04T25:00:00Z", "-"],
)
def test_what_is_no_time_is_null(text: str) -> None:
    assert parse_timestamps(pl.Series("t", [text])).to_list() == [None]


def test_a_day_is_its_first_moment() -> None:
    assert parse_timestamps(pl.Series("t", ["2021-03-04"])).to_list() == [NOON.replace(hour=0)]
    assert parse_timestamps(pl.Series("t", [date(2021, 3, 4)])).to_list() == [NOON.replace(hour=0)]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_typed_datetimes_of_every_unit(unit: str) -> None:
    naive = pl.Series("t", [NOON.replace(tzinfo=None)], dtype=pl.Datetime(unit))  # type: ignore[arg-type]
    parsed = parse_timestamps(naive)
    assert parsed.dtype == TIMESTAMP
    assert parsed.to_list() == [NOON]


def test_typed_datetimes_of_another_zone_keep_their_moment() -> None:
    tokyo = pl.Series("t", [NOON]).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo")
    assert parse_timestamps(tokyo).to_list() == [NOON]


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64, pl.Float64, pl.UInt32])
def test_typed_epoch_seconds(dtype: type[pl.DataType]) -> None:
    assert parse_timestamps(pl.Series("t", [NOON_S, None], dtype=dtype)).to_list() == [NOON, None]


def test_not_a_number_is_no_time() -> None:
    values = pl.Series("t", [float("nan"), float("inf"), -float("inf"), NOON_S + 0.25])
    assert parse_timestamps(values).to_list() == [None, None, None, NOON + timedelta(milliseconds=250)]


def test_columns_of_foreign_types_hold_no_times() -> None:
    assert parse_timestamps(pl.Series("t", [[1], [2]])).to_list() == [None, None]
    assert parse_timestamps(pl.Series("t", [None, None])).to_list() == [None, None]


@given(since_1990)
def test_epoch_units_are_told_by_magnitude(moment: datetime) -> None:
    seconds = int(moment.timestamp())
    numbers = [seconds, seconds * 10**3, seconds * 10**6]
    whole = datetime.fromtimestamp(seconds, UTC)
    assert parse_timestamps(pl.Series("t", numbers)).to_list() == [whole] * 3
    assert parse_timestamps(pl.Series("t", [str(number) for number in numbers])).to_list() == [whole] * 3


@given(since_1990, st.integers(-14 * 60, 14 * 60))
def test_iso_text_with_any_offset_comes_back(moment: datetime, minutes: int) -> None:
    there = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_timestamps(pl.Series("t", [there.isoformat()])).to_list() == [moment]
    assert parse_timestamps(pl.Series("t", [there.isoformat(sep=" ")])).to_list() == [moment]


@given(st.lists(st.text(max_size=30) | st.none(), max_size=20))
def test_no_text_is_a_crash(values: list[str | None]) -> None:
    parsed = parse_timestamps(pl.Series("t", values, dtype=pl.String))
    assert parsed.dtype == TIMESTAMP
    assert len(parsed) == len(values)
