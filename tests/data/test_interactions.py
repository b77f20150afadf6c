from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions

HISTORIES = st.lists(st.lists(st.integers(0, 9), max_size=8), min_size=1, max_size=6)


def test_tracks_since_count_down_in_every_row() -> None:
    rows = Interactions.from_histories([[4, 1, 3], [], [2], [0, 0, 5]], n_tracks=6)
    assert rows.track_index.tolist() == [4, 1, 3, 2, 0, 5]
    assert rows.tracks_since.tolist() == [2, 1, 0, 0, 1, 0]


def test_nothing_heard_has_no_tracks_since() -> None:
    assert Interactions.from_histories([[], []], n_tracks=3).tracks_since.shape == (0,)


@given(HISTORIES, st.integers(1, 5))
def test_the_latest_tracks_are_those_with_fewest_since(histories: list[list[int]], n: int) -> None:
    rows = Interactions.from_histories(histories, n_tracks=10)
    latest = rows.latest(n)
    for row in range(rows.n_rows):
        mine = slice(rows.indptr[row], rows.indptr[row + 1])
        assert rows.tracks_since[mine].tolist() == list(range(rows.lengths[row]))[::-1]
        kept = rows.track_index[mine][rows.tracks_since[mine] < n]
        assert latest[row][latest[row] >= 0].tolist() == kept.tolist()


@given(HISTORIES)
def test_each_row_knows_only_of_itself(histories: list[list[int]]) -> None:
    rows = Interactions.from_histories(histories, n_tracks=10)
    alone = [rows.rows(np.array([row])).tracks_since for row in range(rows.n_rows)]
    np.testing.assert_array_equal(rows.tracks_since, np.concatenate(alone))


def test_sorting_a_matrix_leaves_the_order_of_the_pairs_alone() -> None:
    histories = Interactions.from_histories([[3, 1, 2, 1]], n_tracks=4)
    matrix = histories.matrix(histories.plays.copy())
    matrix.sort_indices()
    assert histories.track_index.tolist() == [3, 2, 1]
    assert histories.plays.tolist() == [1, 1, 2]
    assert matrix.indices.tolist() == [1, 2, 3]


def test_tracks_within_a_smaller_vocabulary() -> None:
    histories = Interactions.from_histories([[4, 1], [5], [0]], 6)
    within = histories.within(5)
    assert (within.n_tracks, within.lengths.tolist()) == (5, [2, 0, 1])
    assert within.track_index.tolist() == [4, 1, 0]
    same = within.within(5)
    assert same.track_index is within.track_index


@pytest.mark.parametrize("name", ["row_index", "lengths", "tracks_since"])
def test_what_is_made_once_cannot_be_changed(name: str) -> None:
    histories = Interactions.from_histories([[0, 1], [2]], 3)
    with pytest.raises(ValueError, match="read-only"):
        getattr(histories, name)[:] = 0
