from __future__ import annotations

from pathlib import Path

import pytest

from audotics.data.heldout import read_held_out
from audotics.errors import BadInputError


def test_pairs_are_read_with_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("userID\tartistID\tplays\nu1\t007\t3\nu2\t8\t1\n")
    pairs = read_held_out(path).sort("user_id")
    assert pairs["user_id"].to_list() == ["u1", "u2"]
    assert pairs["track_id"].to_list() == ["007", "8"]
    assert pairs["event"].to_list() == ["play", "play"]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("who,what\nu1,t1\n")
    pairs = read_held_out(path, {"user_id": "who", "track_id": "what"})
    assert pairs.rows() == [("u1", "t1", "play")]


def test_one_unusable_row_stops_it(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("user_id,track_id\nu1,t1\n,t2\nu3,t3\n")
    with pytest.raises(BadInputError, match="user_id"):
        read_held_out(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nothing\.tsv"):
        read_held_out(tmp_path / "nothing.tsv")
