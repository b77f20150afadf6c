from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from audotics.data.cleaning import Cleaned, clean, reject_rows
from audotics.data.formats.protocol import LINE
from audotics.data.schema import EVENTS, MAX_ID_BYTES, REJECTS, TRACKS, USERS

NAN = float("nan")
TOMORROW = datetime.now(UTC) + timedelta(hours=12)
LATER = datetime.now(UTC) + timedelta(days=2)


def _clean(**columns: object) -> Cleaned:
    rows = pl.DataFrame(columns, strict=False)
    return clean(rows.with_row_index(LINE, offset=1), "log.csv")


def _one(name: str, value: object, dtype: object = None) -> object:
    """The cleaned value, or ``"rejected"``."""
    series = pl.Series(name, [value], dtype=dtype)  # type: ignore[arg-type]
    cleaned = clean(series.to_frame().with_row_index(LINE, offset=1), "log.csv")
    target = "duration_ms" if name == "duration_s" else name
    if cleaned.rows.is_empty():
        assert cleaned.rejected["column"].to_list() == [name]
        return "rejected"
    assert cleaned.rejected.is_empty()
    schema = EVENTS | TRACKS | USERS
    if target in schema:
        assert cleaned.rows.schema[target] == schema[target]
    return cleaned.rows[target][0]


@pytest.mark.parametrize("column", ["user_id", "track_id", "playlist_id"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        (" a b ", " a b "),
        ("\u6771\u4eac", "\u6771\u4eac"),
        (7, "7"),
        (7.0, "7"),
        (7.5, "7.5"),
        ("x" * MAX_ID_BYTES, "x" * MAX_ID_BYTES),
        ("x" * (MAX_ID_BYTES + 1), "rejected"),
        ("\u6771" * 86, "rejected"),
        ("", "rejected"),
        (None, "rejected"),
        ("a\0b", "rejected"),
        ("a\nb", "rejected"),
    ],
)
def test_ids(column: str, value: object, expected: str) -> None:
    assert _one(column, value) == expected


def test_ids_that_became_floats_through_a_missing_one_are_whole_again() -> None:
    cleaned = _clean(user_id=[1.0, None, 3.0], track_id=["a", "b", "c"])
    assert cleaned.rows["user_id"].to_list() == ["1", "3"]
    assert cleaned.rejected.select("line", "column", "value").rows() == [(2, "user_id", "")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1614859200", datetime(2021, 3, 4, 12, tzinfo=UTC)),
        ("2021-03-04T12:00:00Z", datetime(2021, 3, 4, 12, tzinfo=UTC)),
        ("1989-12-31T23:59:59Z", "rejected"),
        ("1990-01-01T00:00:00Z", datetime(1990, 1, 1, tzinfo=UTC)),
        (TOMORROW, TOMORROW),
        (LATER, "rejected"),
        ("0", "rejected"),
        ("soon", "rejected"),
        ("", None),
        (None, None),
        ("NULL", None),
    ],
)
def test_timestamps(value: object, expected: object) -> None:
    assert _one("timestamp", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("skip", "skip"), (" Like ", "like"), ("", "play"), (None, "play"), ("purchase", "rejected")],
)
def test_kinds_of_event(value: object, expected: object) -> None:
    assert _one("event", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3.0),
        ("2.5", 2.5),
        (4, 4.0),
        ("", 1.0),
        (None, 1.0),
        ("0", "rejected"),
        ("-1", "rejected"),
        ("many", "rejected"),
        ("NaN", "rejected"),
        (NAN, "rejected"),
        ("inf", "rejected"),
        ("1e300", "rejected"),
    ],
)
def test_plays(value: object, expected: object) -> None:
    assert _one("plays", value) == expected


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("position", "0", 0),
        ("position", "-1", None),
        ("position", -1, None),
        ("position", "-2", "rejected"),
        ("position", "9" * 12, "rejected"),
        ("ms_played", "180000", 180_000),
        ("ms_played", "180000.4", 180_000),
        ("ms_played", "-5", "rejected"),
        ("ms_played", NAN, None),
        ("ms_played", "nan", "rejected"),
        ("duration_ms", "0", None),
        ("duration_ms", "12 min", "rejected"),
        ("duration_s", "183.5", 183_500),
        ("duration_s", "", None),
        ("birth_year", "1984", 1984),
        ("birth_year", "84", "rejected"),
        ("birth_year", "0", None),
        ("birth_year", "2999", "rejected"),
    ],
)
def test_numbers(column: str, value: object, expected: object) -> None:
    assert _one(column, value) == expected


def test_seconds_in_a_narrow_type_do_not_overflow() -> None:
    assert _one("duration_s", 200, pl.Int16) == 200_000
    assert _one("position", 3, pl.UInt8) == 3


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int64, pl.UInt32, pl.UInt64, pl.Float32, pl.Null])
@pytest.mark.parametrize("column", ["plays", "position", "duration_s", "birth_year", "feature_x"])
def test_columns_of_any_numeric_type_may_be_empty(column: str, dtype: type[pl.DataType]) -> None:
    assert _one(column, None, dtype) == (1.0 if column == "plays" else None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1999", date(1999, 1, 1)),
        (1999, date(1999, 1, 1)),
        ("1999-07", date(1999, 7, 1)),
        ("1999-07-08", date(1999, 7, 8)),
        ("1999-07-08T10:00:00Z", date(1999, 7, 8)),
        (date(1999, 7, 8), date(1999, 7, 8)),
        (datetime(1999, 7, 8, 23), date(1999, 7, 8)),
        ("0000", None),
        ("", None),
        ("1999-02-31", "rejected"),
        ("nineties", "rejected"),
    ],
)
@pytest.mark.parametrize("column", ["released", "signed_up"])
def test_dates(column: str, value: object, expected: object) -> None:
    assert _one(column, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("True", True),
        ("0", False),
        (1, True),
        (False, False),
        ("", None),
        (None, None),
        ("maybe", "rejected"),
    ],
)
def test_booleans(value: object, expected: object) -> None:
    assert _one("explicit", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rock|pop", ["rock", "pop"]),
        (" rock | |pop", ["rock", "pop"]),
        ('["rock", "hip hop"]', ["rock", "hip hop"]),
        ("[rock]", "rejected"),
        ('{"a": 1}', ['{"a": 1}']),
        ("", None),
        (None, None),
        (["rock"], ["rock"]),
    ],
)
def test_lists_of_text(value: object, expected: object) -> None:
    found = _one("tags", value)
    assert (found.to_list() if isinstance(found, pl.Series) else found) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[0.5, 1]", [0.5, 1.0]),
        ([0.5, 1.0], [0.5, 1.0]),
        ("", None),
        ("[]", []),
        ("[0.5, null]", "rejected"),
        ("[1e999]", "rejected"),
        ("0.5 1", "rejected"),
        ([0.5, NAN], "rejected"),
        ([0.5, None], "rejected"),
    ],
)
def test_embeddings(value: object, expected: object) -> None:
    found = _one("embedding", value)
    assert (found.to_list() if isinstance(found, pl.Series) else found) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-7.25", -7.25),
        (3, 3.0),
        ("nan", None),
        (NAN, None),
        ("", None),
        ("1e300", "rejected"),
        ("loud", "rejected"),
    ],
)
def test_features(value: object, expected: object) -> None:
    assert _one("feature_x", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sunny", "sunny"),
        ("", None),
        (21, 21.0),
        (True, 1.0),
        ("x" * 70_000, "rejected"),
        ("a\0", "rejected"),
    ],
)
def test_context(value: object, expected: object) -> None:
    assert _one("context_weather", value) == expected


@pytest.mark.parametrize("column", ["title", "artist", "album", "session_id", "device", "country", "gender"])
def test_text(column: str) -> None:
    assert _one(column, "Null") == "Null"
    assert _one(column, "NA") == "NA"
    assert _one(column, "\\N") is None
    assert _one(column, "") is None
    assert _one(column, 12) == "12"
    assert _one(column, b"Bj\xf6rk") == "Björk"


def test_a_row_is_rejected_once_for_its_first_wrong_column() -> None:
    cleaned = _clean(user_id=["a", "", "c"], track_id=["x", "", "z"], plays=["1", "-1", "0"])
    assert cleaned.rows["user_id"].to_list() == ["a"]
    assert cleaned.rejected.select("file", "line", "column", "value").rows() == [
        ("log.csv", 2, "user_id", ""),
        ("log.csv", 3, "plays", "0"),
    ]
    assert cleaned.rejected.schema == pl.Schema(REJECTS)


def test_long_and_unprintable_values_are_shortened_in_rejects() -> None:
    cleaned = _clean(user_id=["a"], track_id=["\x1b[31m" + "x" * 100_000])
    value = cleaned.rejected["value"][0]
    assert value.startswith("\ufffd[31mxxx")
    assert len(value) == 200


def test_rejecting_whole_rows() -> None:
    rows = pl.DataFrame({LINE: [4, 9], "tags": [["a", "b"], None]})
    assert reject_rows(rows, "tags", "t.csv", "because").rows() == [
        ("t.csv", 4, "tags", "['a', 'b']", "because"),
        ("t.csv", 9, "tags", "", "because"),
    ]
