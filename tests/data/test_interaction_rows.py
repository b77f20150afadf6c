from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions

N_TRACKS = 6
HISTORIES = st.lists(st.lists(st.integers(-1, N_TRACKS - 1), max_size=7), min_size=1, max_size=6)


def contents(rows: Interactions) -> list[list[tuple[int, float]]]:
    pairs = list(zip(rows.track_index.tolist(), rows.plays.tolist(), strict=True))
    return [pairs[rows.indptr[i] : rows.indptr[i + 1]] for i in range(rows.n_rows)]


def expected(history: list[int]) -> list[tuple[int, float]]:
    """Each known track once, at the place of its last play, with its number of plays."""
    known = [track for track in history if track >= 0]
    last_first = dict.fromkeys(reversed(known))
    return [(track, float(known.count(track))) for track in reversed(list(last_first))]


@given(HISTORIES)
def test_raw_histories_become_rows_of_distinct_tracks(histories: list[list[int]]) -> None:
    rows = Interactions.from_histories(histories, N_TRACKS)
    assert contents(rows) == [expected(history) for history in histories]
    assert rows.n_rows == len(histories)
    assert rows.ordered


def test_no_history_at_all() -> None:
    rows = Interactions.from_histories([], N_TRACKS)
    assert (rows.n_rows, rows.n_pairs) == (0, 0)
    assert rows.matrix().shape == (0, N_TRACKS)
    assert contents(rows.rows(np.array([-1, -1]))) == [[], []]


@given(HISTORIES, st.data())
def test_chosen_rows_are_those_rows(histories: list[list[int]], data: st.DataObject) -> None:
    rows = Interactions.from_histories(histories, N_TRACKS)
    chosen = data.draw(st.lists(st.integers(-1, len(histories) - 1), max_size=8))
    picked = rows.rows(np.array(chosen, np.int64))
    assert contents(picked) == [contents(rows)[row] if row >= 0 else [] for row in chosen]
    assert (picked.n_tracks, picked.ordered) == (rows.n_tracks, rows.ordered)


@given(HISTORIES, HISTORIES, st.data())
def test_replaced_rows_are_the_others_and_no_more(
    histories: list[list[int]], others: list[list[int]], data: st.DataObject
) -> None:
    others = others[: len(histories)]
    rows, given_rows = (Interactions.from_histories(part, N_TRACKS) for part in (histories, others))
    order = data.draw(st.permutations(range(len(histories))))
    places = order[: len(others)]
    wanted = contents(rows)
    for place, content in zip(places, contents(given_rows), strict=True):
        wanted[place] = content
    assert contents(rows.replaced(places, given_rows)) == wanted


@given(HISTORIES)
def test_the_matrix_holds_the_pairs(histories: list[list[int]]) -> None:
    rows = Interactions.from_histories(histories, N_TRACKS)
    dense = np.zeros((len(histories), N_TRACKS), np.float32)
    for row, content in enumerate(contents(rows)):
        for track, plays in content:
            dense[row, track] = plays
    np.testing.assert_array_equal(rows.matrix(rows.plays).toarray(), dense)
    np.testing.assert_array_equal(rows.matrix().toarray(), dense > 0)


def test_row_numbers_and_lengths_by_hand() -> None:
    rows = Interactions.from_histories([[3, 1], [], [0]], N_TRACKS)
    assert rows.row_index.tolist() == [0, 0, 2]
    assert rows.lengths.tolist() == [2, 0, 1]
    assert rows.latest(3).tolist() == [[-1, 3, 1], [-1, -1, -1], [-1, -1, 0]]


def test_events_of_a_pair_become_one_with_the_last_time() -> None:
    events = pl.DataFrame(
        {
            "user_index": [1, 0, 1, 1],
            "track_index": [2, 2, 0, 2],
            "plays": [1.0, 4.0, 1.0, 2.5],
            "at": [10, 50, 20, 30],
        }
    )
    rows = Interactions.from_events(events, n_rows=3, n_tracks=4, ordered=True)
    assert contents(rows) == [[(2, 4.0)], [(0, 1.0), (2, 3.5)], []]
    assert rows.last_at.tolist() == [50, 20, 30]


def test_equal_times_are_ordered_by_number() -> None:
    events = pl.DataFrame(
        {"user_index": [0, 0, 0], "track_index": [3, 0, 2], "plays": [1.0] * 3, "at": [0, 0, 0]}
    )
    for seed in range(3):
        rows = Interactions.from_events(
            events.sample(fraction=1, shuffle=True, seed=seed), 1, 4, ordered=False
        )
        assert rows.track_index.tolist() == [0, 2, 3]


@pytest.mark.parametrize("name", ["indptr", "track_index", "plays", "last_at"])
def test_arrays_have_the_promised_types(name: str) -> None:
    types = {"indptr": np.int64, "track_index": np.int32, "plays": np.float32, "last_at": np.int64}
    rows = Interactions.from_histories([[0], [1, 2]], N_TRACKS)
    assert getattr(rows, name).dtype == types[name]
    assert getattr(rows.rows(np.array([1, -1])), name).dtype == types[name]
