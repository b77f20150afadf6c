from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.errors import BadInputError
from audotics.experiments.betting import MeanAbove


def after(values: object, most: float) -> MeanAbove:
    bets = MeanAbove(most)
    for value in np.asarray(values, np.float64).tolist():
        bets.add(value)
    return bets


def test_nothing_seen_says_nothing():
    bets = MeanAbove(0.1)
    assert (bets.n, bets.p_value) == (0, 1.0)
    assert math.isnan(bets.mean)


def test_failures_where_five_in_a_hundred_may_be_are_told_at_the_third():
    assert after([1, 1], 0.05).p_value > 0.001 > after([1, 1, 1], 0.05).p_value


def test_one_spike_is_no_evidence():
    assert after([0] * 20 + [1] + [0] * 20, 0.05).p_value > 0.1


def test_a_gross_excess_needs_tens_of_values_and_a_small_one_hundreds():
    rng = np.random.default_rng(0)

    def n_until(mean: float, most: float) -> int:
        bets = MeanAbove(most)
        while bets.p_value > 0.001:
            bets.add(float(rng.random() < mean))
        return bets.n

    gross = [n_until(0.95, 0.5) for _ in range(20)]
    small = [n_until(0.6, 0.5) for _ in range(20)]
    assert np.median(gross) < 25
    assert 100 < np.median(small) < 1000


@pytest.mark.parametrize(("most", "values"), [(0.05, (0, 1)), (0.5, (0, 1)), (0.8, (0.6, 1.0))])
def test_looking_after_every_value_keeps_the_promise(most: float, values: tuple[float, float]):
    """At the bound itself, where the promise is hardest to keep, over 200 series of 500 values."""
    rng = np.random.default_rng(1)
    low, high = values
    series = np.where(rng.random((200, 500)) < (most - low) / (high - low), high, low)
    false_alarms = sum(after(row, most).p_value <= 0.05 for row in series)
    # 5 % are promised at most; 20 of 200 would be that and three standard errors more.
    assert false_alarms <= 20


def test_values_that_answer_to_earlier_ones_keep_the_promise_too():
    """After a high value the next is always low: dependent, and its mean given the past never above 0.5."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(300):
        bets, before = MeanAbove(0.5), 0.0
        for _ in range(300):
            before = 0.0 if before else float(rng.random() < 0.5)
            bets.add(before)
        alarms += bets.p_value <= 0.05
    assert alarms <= 0.05 * 300


@given(st.lists(st.floats(0, 1), max_size=50), st.floats(0.01, 0.99))
def test_evidence_never_shrinks(values: list[float], most: float):
    bets, before = MeanAbove(most), 1.0
    for value in values:
        bets.add(value)
        assert 0 <= bets.p_value <= before
        before = bets.p_value


def test_values_beyond_the_ends_count_as_the_ends():
    assert after([7.0, -3.0], 0.5).mean == 0.5


@pytest.mark.parametrize("most", [0.0, 1.0, -1.0, math.nan])
def test_a_bound_that_is_none_is_refused(most: float):
    with pytest.raises(BadInputError, match="not between 0 and 1"):
        MeanAbove(most)
