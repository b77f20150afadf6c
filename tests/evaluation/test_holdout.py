from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.evaluation.holdout import Holdout


def test_rows_are_sorted_and_distinct() -> None:
    holdout = Holdout.from_pairs([1, 0, 1, 1, 0], [4, 2, 0, 4, 1], n_listeners=3, n_tracks=5)
    assert holdout.indptr.tolist() == [0, 2, 4, 4]
    assert holdout.track_index.tolist() == [1, 2, 0, 4]
    assert holdout.lengths.tolist() == [2, 2, 0]
    assert holdout.row_index.tolist() == [0, 0, 1, 1]
    assert (holdout.n_listeners, holdout.n_pairs) == (3, 4)


def test_hits_by_hand() -> None:
    holdout = Holdout.from_pairs([0, 0, 1], [1, 3, 0], n_listeners=3, n_tracks=5)
    lists = np.array([[3, 0, 1], [1, 0, -1], [0, 1, 3]], np.int32)
    assert holdout.hits(lists).tolist() == [[True, False, True], [False, True, False], [False] * 3]


def test_padding_of_one_listener_is_no_hit_of_the_listener_before() -> None:
    # Row 1 with padding would give the key of row 0's last track if -1 were taken as an index.
    holdout = Holdout.from_pairs([0], [4], n_listeners=2, n_tracks=5)
    assert not holdout.hits(np.array([[-1], [-1]], np.int32)).any()


def test_no_pairs_no_hits() -> None:
    holdout = Holdout.from_pairs([], [], n_listeners=2, n_tracks=5)
    assert not holdout.hits(np.zeros((2, 4), np.int32)).any()


def test_keep_drops_pairs_but_no_listener() -> None:
    holdout = Holdout.from_pairs([0, 0, 1], [1, 3, 0], n_listeners=2, n_tracks=5)
    kept = holdout.keep(np.array([True, False, False]))
    assert kept.indptr.tolist() == [0, 1, 1]
    assert kept.track_index.tolist() == [1]


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=30),
    lists=st.lists(st.lists(st.integers(-1, 7), min_size=3, max_size=3), min_size=5, max_size=5),
)
def test_hits_are_set_membership(pairs: list[tuple[int, int]], lists: list[list[int]]) -> None:
    holdout = Holdout.from_pairs([r for r, _ in pairs], [t for _, t in pairs], 5, 8)
    expected = [[(row, track) in set(pairs) for track in tracks] for row, tracks in enumerate(lists)]
    assert holdout.hits(np.array(lists, np.int32)).tolist() == expected
    assert holdout.n_pairs == len(set(pairs))


def test_listeners_are_taken_in_the_given_order() -> None:
    holdout = Holdout.from_pairs([0, 0, 2, 3], [1, 4, 2, 0], 4, 5)
    taken = holdout.take(np.array([3, 1, 0], np.int32))
    assert taken.lengths.tolist() == [1, 0, 2]
    assert taken.track_index.tolist() == [0, 1, 4]
    assert taken.n_tracks == 5
