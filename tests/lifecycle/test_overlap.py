from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.lifecycle.overlap import PERSISTENCE, overlap, rank_biased_overlap, shared_by_depth


def lists(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int32)


def test_the_same_lists_overlap_wholly() -> None:
    found = overlap(lists([1, 2, 3], [4, 5, 6]), lists([1, 2, 3], [4, 5, 6]))
    assert (found.jaccard, found.same_top, found.n_listeners, found.k) == (1.0, 1.0, 2, 3)
    assert found.rank_biased == pytest.approx(1.0)


def test_lists_without_a_common_track_do_not_overlap() -> None:
    found = overlap(lists([1, 2, 3]), lists([4, 5, 6]))
    assert (found.jaccard, found.rank_biased, found.same_top) == (0.0, 0.0, 0.0)


def test_hand_worked_figures() -> None:
    # Shared at depths 1, 2, 3: 0, 2, 2. Jaccard: 2 of 4 tracks.
    one, other = lists([1, 2, 3]), lists([2, 1, 4])
    assert shared_by_depth(one, other).tolist() == [[0, 2, 2]]
    found = overlap(one, other)
    assert found.jaccard == 0.5 and found.same_top == 0.0
    p = PERSISTENCE
    expected = 2 / 3 * p**3 + (1 - p) / p * (0 + 2 / 2 * p**2 + 2 / 3 * p**3)
    assert found.rank_biased == pytest.approx(expected)


def test_order_counts_at_the_top_most() -> None:
    base = lists(list(range(20)))
    top, bottom = base.copy(), base.copy()
    top[0, [0, 1]] = top[0, [1, 0]]
    bottom[0, [18, 19]] = bottom[0, [19, 18]]
    changed_top, changed_bottom = overlap(base, top), overlap(base, bottom)
    assert changed_top.jaccard == changed_bottom.jaccard == 1.0
    assert changed_top.rank_biased < changed_bottom.rank_biased < 1.0


def test_padding_is_no_track_and_empty_lists_do_not_count() -> None:
    found = overlap(lists([1, -1, -1], [-1, -1, -1], [2, 3, -1]), lists([1, -1, -1], [5, 6, 7], [-1, -1, -1]))
    assert (found.n_listeners, found.jaccard) == (1, 1.0)
    nobody = overlap(lists([-1, -1]), lists([1, 2]))
    assert (nobody.n_listeners, nobody.jaccard, nobody.rank_biased) == (0, 0.0, 0.0)


@given(st.permutations(range(12)), st.permutations(range(12)), st.integers(1, 12))
def test_against_the_obvious_computation(one: list[int], other: list[int], k: int) -> None:
    first, second = one[:k], other[:k]
    shared = [len(set(first[:depth]) & set(second[:depth])) for depth in range(1, k + 1)]
    assert shared_by_depth(lists(first), lists(second)).tolist() == [shared]
    found = overlap(lists(first), lists(second))
    assert found.jaccard == pytest.approx(len(set(first) & set(second)) / len(set(first) | set(second)))
    assert found.rank_biased == pytest.approx(overlap(lists(second), lists(first)).rank_biased)
    assert 0 <= found.rank_biased <= 1 + 1e-12
    by_hand = shared[-1] / k * PERSISTENCE**k + (1 - PERSISTENCE) / PERSISTENCE * sum(
        count / depth * PERSISTENCE**depth for depth, count in enumerate(shared, start=1)
    )
    assert rank_biased_overlap(np.array([shared]))[0] == pytest.approx(by_hand)
