from __future__ import annotations

import polars as pl

from audotics.data.catalogue import Catalogue
from audotics.data.formats.protocol import LINE, TableName


def _rows(first_line: int = 1, **columns: object) -> pl.DataFrame:
    return pl.DataFrame(columns, strict=False).with_row_index(LINE, offset=first_line)


def _tracks(table: TableName = "tracks") -> Catalogue:
    return Catalogue(table)


def test_repeated_rows_are_merged_and_contradictions_rejected() -> None:
    tracks = _tracks()
    tracks.add(_rows(track_id=["a", "b", "a"], title=["A", "B", "A"]), "one.csv")
    tracks.add(_rows(track_id=["b", "c"], title=["other", "C"]), "two.csv")
    done = tracks.finish()
    assert done.rows.rows() == [("a", "A"), ("b", "B"), ("c", "C")]
    assert done.n_merged == 1
    assert done.rejected.select("file", "line", "column", "value").rows() == [("two.csv", 1, "track_id", "b")]


def test_lists_compare_as_values() -> None:
    tracks = _tracks()
    tracks.add(_rows(track_id=["a", "a"], tags=[["x", "y"], ["x", "y"]]), "one.csv")
    assert tracks.finish().n_merged == 1


def test_a_part_fills_what_is_unknown_and_adds_what_is_missing() -> None:
    tracks = _tracks()
    tracks.add(_rows(track_id=["a", "b"], title=["A", None]), "one.csv")
    tracks.add(
        _rows(track_id=["b", "b", "c"], title=["first", "second", "C"], album=[None, "late", None]),
        "log",
        "names",
    )
    assert tracks.finish().rows.rows() == [("a", "A", None), ("b", "first", "late"), ("c", "C", None)]


def test_lists_of_parts_are_joined_as_a_multiset() -> None:
    tracks = _tracks()
    tracks.add(_rows(track_id=["a", "b", "d"], tags=[["own"], None, None]), "one.csv")
    tracks.add(_rows(track_id=["a", "b", "a"], tags=[["rock"], ["pop"], ["rock"]]), "tags", "tags")
    tracks.add(_rows(track_id=["a", "c"], tags=[["rock"], ["jazz"]]), "tags", "tags")
    found = dict(tracks.finish().rows.rows())
    assert found == {"a": ["own", "rock", "rock", "rock"], "b": ["pop"], "c": ["jazz"], "d": None}


def test_a_table_of_parts_alone() -> None:
    tracks = _tracks()
    assert tracks.is_empty
    tracks.add(_rows(track_id=["a", "a"], title=[None, "A"]), "log", "names")
    assert not tracks.is_empty
    done = tracks.finish()
    assert done.rows.rows() == [("a", "A")]
    assert (done.n_merged, done.rejected.height) == (0, 0)


def test_embeddings_of_another_length_are_rejected() -> None:
    tracks = _tracks()
    vectors = pl.Series([[1.0, 2.0], [3.0], [4.0, 5.0], None], dtype=pl.List(pl.Float32))
    tracks.add(_rows(track_id=["a", "b", "c", "d"]).with_columns(vectors.alias("embedding")), "one.csv")
    done = tracks.finish()
    assert done.rows["track_id"].to_list() == ["a", "c", "d"]
    assert done.rejected.select("line", "column", "value").rows() == [(2, "embedding", "[3.0]")]


def test_playlists_may_hold_a_track_twice_and_are_numbered_where_needed() -> None:
    playlists = _tracks("playlists")
    playlists.add(_rows(playlist_id=["p", "q", "p"], track_id=["x", "x", "y"]), "one.csv")
    playlists.add(_rows(playlist_id=["r", "r"], track_id=["x", "x"], position=[5, 2]), "two.csv")
    done = playlists.finish()
    assert done.rows.select("playlist_id", "position", "track_id").rows() == [
        ("p", 0, "x"),
        ("p", 1, "y"),
        ("q", 0, "x"),
        ("r", 2, "x"),
        ("r", 5, "x"),
    ]
    assert done.n_merged == 0


def test_listeners_have_their_own_key() -> None:
    users = _tracks("users")
    users.add(_rows(user_id=["a", "a"], country=["DE", "FR"]), "users.csv")
    done = users.finish()
    assert done.rows.rows() == [("a", "DE")]
    assert done.rejected["column"].to_list() == ["user_id"]
