"""The baseline that plays back what the listener played most."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.domain import PADDING
from audotics.evaluation.baselines import most_played


def test_by_hand() -> None:
    histories = Interactions.from_histories([[2, 0, 0, 1], [3], []], 4)
    assert most_played(histories, 3).tolist() == [[0, 1, 2], [3, -1, -1], [-1, -1, -1]]
    assert most_played(histories, 1).tolist() == [[0], [3], [-1]]


@given(st.lists(st.lists(st.integers(0, 7), max_size=12), min_size=1, max_size=5), st.integers(1, 10))
def test_plays_alone_decide_and_the_latest_among_equals(histories: list[list[int]], k: int) -> None:
    for history, row in zip(
        histories, most_played(Interactions.from_histories(histories, 8), k).tolist(), strict=True
    ):
        plays = Counter(history)
        last = {track: place for place, track in enumerate(history)}
        expected = sorted(plays, key=lambda track: (-plays[track], -last[track]))[:k]
        assert row == expected + [PADDING] * (k - len(expected))


def test_nobody_gets_nothing() -> None:
    assert most_played(Interactions.from_histories([], 3), 5).shape == (0, 5)
    assert most_played(Interactions.from_histories([[], []], 3), 2).tolist() == [[-1, -1]] * 2
    assert most_played(Interactions.from_histories([[1]], 3), 2).dtype == np.int32
