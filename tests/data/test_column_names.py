from __future__ import annotations

from pathlib import Path

import pytest

from audotics.data.formats.columns import known_names, name_columns
from audotics.data.formats.protocol import TableName
from audotics.errors import BadInputError

FILE = Path("log.csv")


@pytest.mark.parametrize(
    ("table", "found", "expected"),
    [
        ("events", ["user_id", "track_id"], {"user_id": "user_id", "track_id": "track_id"}),
        (
            "events",
            ["userID", "artistID", "weight"],
            {"user_id": "userID", "track_id": "artistID"} | {"plays": "weight"},
        ),
        (
            "events",
            ["pid", "track_uri", "pos"],
            {"user_id": "pid", "track_id": "track_uri", "position": "pos"},
        ),
        ("events", ["User", "Item Id", "TS"], {"user_id": "User", "track_id": "Item Id", "timestamp": "TS"}),
        (
            "events",
            ["playlist_id", "user_id", "track_id"],
            {"user_id": "user_id", "track_id": "track_id"},
        ),
        ("events", ["uid", "song_id", "artist_id"], {"user_id": "uid", "track_id": "song_id"}),
        (
            "tracks",
            ["id", "name", "artists", "Tempo", "valence", "url"],
            {
                "track_id": "id",
                "title": "name",
                "artist": "artists",
                "feature_tempo": "Tempo",
                "feature_valence": "valence",
            },
        ),
        ("tracks", ["track_id", "duration_sec"], {"track_id": "track_id", "duration_s": "duration_sec"}),
        (
            "tracks",
            ["track_id", "duration_ms", "seconds"],
            {"track_id": "track_id", "duration_ms": "duration_ms"},
        ),
        ("tracks", ["uri", "artist_id"], {"track_id": "uri", "artist_id": "artist_id"}),
        (
            "users",
            ["userid", "Sex", "location"],
            {"user_id": "userid", "gender": "Sex", "country": "location"},
        ),
        (
            "playlists",
            ["pid", "pos", "track_uri"],
            {"playlist_id": "pid", "position": "pos", "track_id": "track_uri"},
        ),
    ],
)
def test_well_known_names(table: TableName, found: list[str], expected: dict[str, str]) -> None:
    assert name_columns(table, found, {}, FILE).columns == expected


def test_free_columns_are_kept_by_prefix_and_table() -> None:
    events = name_columns("events", ["user_id", "track_id", "context_mood", "feature_x"], {}, FILE)
    assert events.columns["context_mood"] == "context_mood"
    assert events.ignored == ("feature_x",)
    tracks = name_columns("tracks", ["track_id", "feature_x", "context_mood"], {}, FILE)
    assert tracks.columns["feature_x"] == "feature_x"
    assert tracks.ignored == ("context_mood",)


@pytest.mark.parametrize(
    "column_map", [{"user_id": "who", "track_id": "what"}, {"who": "user_id", "what": "track_id"}]
)
def test_the_map_may_be_written_either_way_round(column_map: dict[str, str]) -> None:
    naming = name_columns("events", ["who", "what", "why"], column_map, FILE)
    assert naming.columns == {"user_id": "who", "track_id": "what"}
    assert naming.recognised == {}
    assert naming.ignored == ("why",)


def test_the_map_wins_over_equal_names_and_aliases() -> None:
    naming = name_columns("events", ["user_id", "account", "track_id"], {"user_id": "account"}, FILE)
    assert naming.columns["user_id"] == "account"
    assert naming.ignored == ("user_id",)


def test_the_map_makes_features() -> None:
    naming = name_columns("tracks", ["track_id", "Loudness (dB)"], {"feature_db": "Loudness (dB)"}, FILE)
    assert naming.columns["feature_db"] == "Loudness (dB)"


def test_pairs_for_other_files_are_left_alone() -> None:
    naming = name_columns("tracks", ["track_id"], {"user_id": "who"}, FILE)
    assert naming.columns == {"track_id": "track_id"}


def test_recognised_names_are_told_apart_from_equal_ones() -> None:
    naming = name_columns("events", ["user_id", "itemID", "x"], {}, FILE)
    assert naming.recognised == {"track_id": "itemID"}
    assert naming.ignored == ("x",)


def test_a_missing_column_names_what_is_there_and_what_to_say() -> None:
    with pytest.raises(BadInputError) as caught:
        name_columns("events", ["nr", "thing"], {}, FILE)
    message = str(caught.value)
    assert "log.csv" in message
    assert "user_id and track_id" in message
    assert "'nr', 'thing'" in message
    assert "--map user_id=nr" in message


def test_a_message_stays_short_for_garbage() -> None:
    with pytest.raises(BadInputError) as caught:
        name_columns("events", ["x" * 5000] + [f"c{n}" for n in range(1000)], {}, FILE)
    assert len(str(caught.value)) < 500


def test_a_column_that_stands_twice_is_ambiguous() -> None:
    with pytest.raises(BadInputError, match="stand twice: track_id"):
        name_columns("events", ["user_id", "track_id", "track_id"], {}, FILE)


def test_known_names_include_the_map() -> None:
    assert {"timestamp", "who"} <= set(known_names("events", {"user_id": "who"}))
