from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.domain import PADDING, Candidates, Context, Mode, Query

HISTORIES = [[0, 1], [], [2], [3, 0, 1]]


@pytest.fixture
def batch() -> QueryBatch:
    return QueryBatch(
        Interactions.from_histories(HISTORIES, n_tracks=4),
        np.array([5, PADDING, 2, 9], np.int32),
        np.array([10, NO_TIME, 30, 40], np.int64),
        ("tv", None, "car", "phone"),
        (None, "NO", "DE", "SE"),
    )


def histories_of(batch: QueryBatch) -> list[list[int]]:
    rows = batch.histories
    return [rows.track_index[rows.indptr[i] : rows.indptr[i + 1]].tolist() for i in range(rows.n_rows)]


def test_taken_queries_keep_all_that_belongs_to_them(batch: QueryBatch) -> None:
    taken = batch.take(np.array([3, 0, 3]))
    assert taken.size == 3
    assert histories_of(taken) == [HISTORIES[3], HISTORIES[0], HISTORIES[3]]
    assert taken.user_index.tolist() == [9, 5, 9]
    assert taken.at.tolist() == [40, 10, 40]
    assert taken.device == ("phone", "tv", "phone")
    assert taken.country == ("SE", None, "SE")


def test_a_part_ends_with_the_batch(batch: QueryBatch) -> None:
    assert batch.part(2, 100).user_index.tolist() == [2, 9]
    assert batch.part(4, 8).size == 0


@given(st.integers(1, 5))
def test_parts_put_together_are_the_batch(size: int) -> None:
    interactions = Interactions.from_histories(HISTORIES, n_tracks=4)
    whole = QueryBatch.of_listeners(interactions, np.array([3, PADDING, 0, 2], np.int32))
    parts = [whole.part(start, start + size) for start in range(0, whole.size, size)]
    assert [user for part in parts for user in part.user_index] == whole.user_index.tolist()
    assert [row for part in parts for row in histories_of(part)] == histories_of(whole)


def test_known_listeners_ask_at_no_particular_time() -> None:
    interactions = Interactions.from_histories(HISTORIES, n_tracks=4)
    batch = QueryBatch.of_listeners(interactions, np.array([2, PADDING, 0], np.int32))
    assert histories_of(batch) == [[2], [], [0, 1]]
    assert set(batch.at.tolist()) == {NO_TIME}
    assert batch.device == batch.country == (None, None, None)


def test_no_moment_of_the_data_reads_as_no_time() -> None:
    assert np.iinfo(np.int64).min == NO_TIME
    assert np.datetime64(NO_TIME, "us") != np.datetime64(NO_TIME, "us")  # numpy's own "not a time"


def test_a_query_asks_for_ten_unheard_tracks_unless_told() -> None:
    query = Query()
    assert (query.k, query.mode) == (10, Mode.DISCOVER)
    assert query.context == Context(at=None, device=None, country=None)
    with pytest.raises(AttributeError):
        query.k = 3  # type: ignore[misc]


def test_an_empty_history_is_not_an_unknown_one() -> None:
    assert Query(history=()).history is not None
    assert Query(user_id="u").history is None


def test_modes_are_read_from_what_people_write() -> None:
    assert [Mode(text) for text in ("mix", "discover", "familiar")] == [
        Mode.MIX,
        Mode.DISCOVER,
        Mode.FAMILIAR,
    ]
    with pytest.raises(ValueError, match="new"):
        Mode("new")


def test_padded_slots_are_absent() -> None:
    tracks = np.array([[2, PADDING], [0, 1]], np.int32)
    values = np.zeros((2, 2, 1), np.float32)
    assert Candidates(tracks, values, values, ("a",), 1).present.tolist() == [[True, False], [True, True]]
