from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from audotics.data.schema import EVENT_KINDS, EVENTS, MAX_ID_BYTES, PLAYLISTS, TRACKS, USERS
from audotics.data.validation import check_table, complete
from audotics.errors import BadInputError

SCHEMAS = {"events": EVENTS, "tracks": TRACKS, "users": USERS, "playlists": PLAYLISTS}
KEYS = {
    "events": {"user_id": "u", "track_id": "t"},
    "tracks": {"track_id": "t"},
    "users": {"user_id": "u"},
    "playlists": {"playlist_id": "p", "track_id": "t"},
}


def table(name: str, n: int = 1, **columns: list[object]) -> pl.DataFrame:
    keys = {key: [f"{value}{row}" for row in range(n)] for key, value in KEYS[name].items()}
    return pl.DataFrame(keys | columns, strict=False)


@pytest.mark.parametrize("name", SCHEMAS)
def test_keys_alone_are_completed_to_a_table_that_holds(name: str) -> None:
    full = complete(name, table(name, 2))  # type: ignore[arg-type]
    assert full.schema == pl.Schema(SCHEMAS[name])
    assert check_table(name, full).equals(full)  # type: ignore[arg-type]


def test_an_event_is_one_play_unless_told() -> None:
    assert complete("events", table("events")).select("event", "plays").rows() == [(EVENT_KINDS[0], 1.0)]


@pytest.mark.parametrize(
    ("name", "column"), [("events", "context_mood"), ("tracks", "feature_x"), ("users", "feature_age")]
)
def test_free_columns_come_last_as_they_are(name: str, column: str) -> None:
    full = complete(name, table(name, **{column: [0.5]}))  # type: ignore[arg-type]
    assert full.columns == [*SCHEMAS[name], column]
    assert full[column].to_list() == [0.5]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("events", "mood"),
        ("events", "feature_x"),
        ("tracks", "context_x"),
        ("users", "age"),
        ("playlists", "feature_x"),
        ("playlists", "context_x"),
    ],
)
def test_a_column_without_a_place_is_named(name: str, column: str) -> None:
    with pytest.raises(BadInputError, match=f"the {name} table has no column {column}"):
        complete(name, table(name, **{column: [1.0]}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [("events", "plays", "many"), ("tracks", "duration_ms", "long"), ("users", "birth_year", "1980s")],
)
def test_a_value_of_the_wrong_type_is_bad_input(name: str, column: str, value: object) -> None:
    with pytest.raises(BadInputError, match=f"a column of the {name} table has the wrong type"):
        complete(name, table(name, **{column: [value]}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("events", "user_id", ""),
        ("events", "track_id", None),
        ("events", "user_id", "x" * (MAX_ID_BYTES + 1)),
        ("events", "user_id", "\u00e9" * (MAX_ID_BYTES // 2 + 1)),
        ("events", "event", "listen"),
        ("events", "plays", 0.0),
        ("events", "plays", -1.0),
        ("events", "position", -1),
        ("events", "ms_played", -5),
        ("tracks", "track_id", ""),
        ("tracks", "duration_ms", -1),
        ("users", "user_id", None),
        ("playlists", "position", -1),
        ("playlists", "playlist_id", ""),
    ],
)
def test_each_broken_rule_is_refused_and_its_column_named(name: str, column: str, value: object) -> None:
    wrong = complete(name, table(name, **{column: [value]}))  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match=rf"the {name} table breaks its schema: .*{column}"):
        check_table(name, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("events", "user_id", "x" * MAX_ID_BYTES),
        ("events", "user_id", "\u00e9" * (MAX_ID_BYTES // 2)),
        ("events", "plays", 0.01),
        ("events", "position", 0),
        ("events", "ms_played", 0),
        ("tracks", "duration_ms", 0),
        ("tracks", "released", date(1959, 8, 17)),
        ("tracks", "genres", []),
        ("users", "birth_year", None),
    ],
)
def test_what_lies_just_inside_the_rules_is_taken(name: str, column: str, value: object) -> None:
    full = complete(name, table(name, **{column: [value]}))  # type: ignore[arg-type]
    assert check_table(name, full)[column].to_list() == [pytest.approx(value)]


@pytest.mark.parametrize("name", ["tracks", "users"])
def test_one_row_for_each_key(name: str) -> None:
    key = next(iter(KEYS[name]))
    with pytest.raises(BadInputError, match=key):
        check_table(name, complete(name, pl.DataFrame({key: ["same", "same"]})))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["events", "playlists"])
def test_what_happens_twice_may_stand_twice(name: str) -> None:
    twice = pl.concat([complete(name, table(name))] * 2)  # type: ignore[arg-type]
    assert check_table(name, twice).height == 2  # type: ignore[arg-type]


def test_a_feature_of_another_precision_is_refused() -> None:
    with pytest.raises(BadInputError, match="feature_x"):
        check_table("tracks", complete("tracks", table("tracks", feature_x=[0.5])))
    narrow = table("tracks").with_columns(pl.lit(0.5, pl.Float32).alias("feature_x"))
    assert check_table("tracks", complete("tracks", narrow))["feature_x"].to_list() == [0.5]
