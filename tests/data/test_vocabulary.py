from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING

IDS = st.lists(st.text(max_size=6), unique=True, max_size=20)


def test_the_index_of_an_id_is_its_place() -> None:
    vocabulary = Vocabulary(["c", "a", "b"])
    assert vocabulary.ids == ("c", "a", "b")
    assert [vocabulary.index(key) for key in "abc"] == [1, 2, 0]
    assert len(vocabulary) == 3


def test_what_is_unknown_is_padding() -> None:
    vocabulary = Vocabulary(["a"])
    assert vocabulary.index("b") == vocabulary.index(None) == PADDING
    assert vocabulary.indices(["b", "a", ""]).tolist() == [PADDING, 0, PADDING]
    assert "a" in vocabulary
    assert "b" not in vocabulary


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="distinct"):
        Vocabulary(["a", "b", "a"])


def test_ids_of_several_columns_are_joined_in_a_fixed_order() -> None:
    first, second = pl.Series(["b", None, "a", "b"]), pl.Series(["c", "a"])
    assert Vocabulary.sorted(first, second).ids == ("a", "b", "c")
    assert Vocabulary.sorted(second, first).ids == ("a", "b", "c")


def test_numbers_become_the_text_they_are_written_as() -> None:
    vocabulary = Vocabulary.sorted(pl.Series([10, 9, 10]))
    assert vocabulary.ids == ("10", "9")
    assert vocabulary.encode(pl.Series([9, 10, 1])).tolist() == [1, 0, PADDING]


@pytest.mark.parametrize(
    ("one", "other"), [("7", "07"), ("a", "A"), ("a", "a "), ("\u00e9", "e\u0301"), ("1", "1.0")]
)
def test_ids_that_look_alike_stay_apart(one: str, other: str) -> None:
    vocabulary = Vocabulary([one, other])
    assert vocabulary.index(one) != vocabulary.index(other)
    assert vocabulary.encode(pl.Series([other, one])).tolist() == [1, 0]


def test_an_empty_vocabulary_knows_nothing() -> None:
    vocabulary = Vocabulary([])
    assert len(vocabulary) == 0
    assert vocabulary.encode(pl.Series(["a", None], dtype=pl.String)).tolist() == [PADDING, PADDING]
    assert vocabulary.indices([]).shape == (0,)


@given(IDS, st.lists(st.text(max_size=6) | st.none(), max_size=20))
def test_a_column_is_encoded_as_its_values_are_one_by_one(ids: list[str], column: list[str | None]) -> None:
    vocabulary = Vocabulary(ids)
    encoded = vocabulary.encode(pl.Series(column, dtype=pl.String))
    assert encoded.dtype == vocabulary.indices([]).dtype
    assert encoded.tolist() == [vocabulary.index(key) for key in column]


@given(IDS)
def test_every_id_comes_back_from_its_index(ids: list[str]) -> None:
    vocabulary = Vocabulary(ids)
    assert [vocabulary.ids[index] for index in vocabulary.indices(ids)] == ids


@given(IDS, IDS)
def test_fingerprints_are_equal_where_the_ids_are(one: list[str], other: list[str]) -> None:
    same = Vocabulary(one).fingerprint == Vocabulary(other).fingerprint
    assert same == (one == other)


def test_a_fingerprint_tells_the_order_and_where_ids_end() -> None:
    prints = {Vocabulary(ids).fingerprint for ids in (["ab", "c"], ["a", "bc"], ["c", "ab"], ["abc"])}
    assert len(prints) == 4


def test_further_ids_come_behind() -> None:
    first = Vocabulary(["b", "a"])
    more = first.extended(["c", "d"])
    assert more.ids == ("b", "a", "c", "d")
    assert more.indices(["a", "d", "x"]).tolist() == [1, 3, -1]
    assert len(first) == 2 and "c" not in first
    assert more.fingerprint == Vocabulary(["b", "a", "c", "d"]).fingerprint


@pytest.mark.parametrize("ids", [["a"], ["c", "c"]])
def test_further_ids_must_be_new(ids: list[str]) -> None:
    with pytest.raises(ValueError, match="distinct"):
        Vocabulary(["b", "a"]).extended(ids)
