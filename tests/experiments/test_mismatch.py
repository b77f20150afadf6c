from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audotics.errors import BadInputError
from audotics.experiments.mismatch import sample_ratio, sequential_p_value


@given(st.lists(st.integers(10, 4000), min_size=2, max_size=5))
def test_the_fixed_test_is_scipy_s(counts: list[int]) -> None:
    shares = np.arange(1, len(counts) + 1)
    expected = shares / shares.sum() * sum(counts)
    assert sample_ratio(counts, shares).p_fixed == pytest.approx(stats.chisquare(counts, expected).pvalue)


def test_the_sequential_test_is_the_averaged_multinomial() -> None:
    counts, shares = np.array([530, 470, 210]), np.array([0.4, 0.4, 0.2])
    averaged = stats.dirichlet_multinomial(2500 * shares, counts.sum()).logpmf(counts)
    plain = stats.multinomial(counts.sum(), shares).logpmf(counts)
    found = sequential_p_value(counts, shares)
    assert found == pytest.approx(min(1.0, np.exp(plain - averaged)), rel=1e-6)


def test_daily_looks_raise_no_more_false_alarms_than_promised() -> None:
    rng = np.random.default_rng(0)
    daily = rng.multinomial(400, [0.5, 0.3, 0.2], (2000, 28)).cumsum(axis=1)
    shares = np.array([5000.0, 3000.0, 2000.0])
    p = sequential_p_value(daily, shares)
    assert (p <= 0.05).any(axis=1).mean() <= 0.05
    fixed = stats.chisquare(daily, daily.sum(axis=2, keepdims=True) * shares / 10_000, axis=2).pvalue
    assert (fixed <= 0.05).any(axis=1).mean() > 0.2


def test_a_mismatch_is_found() -> None:
    assert sample_ratio([50_000, 50_200], [1, 1]).p_value > 0.5
    found = sample_ratio([50_000, 48_000], [1, 1])
    assert found.p_value < 1e-6
    assert found.p_fixed < 1e-6
    assert found.observed == pytest.approx((0.5102, 0.4898), abs=1e-4)
    assert found.expected == (0.5, 0.5)


def test_arms_without_a_share_are_left_out_and_must_be_empty() -> None:
    assert sample_ratio([500, 480, 0], [1, 1, 0]).p_fixed == sample_ratio([500, 480], [1, 1]).p_fixed
    with pytest.raises(BadInputError, match="without a share"):
        sample_ratio([500, 480, 1], [1, 1, 0])


def test_nothing_seen_is_no_mismatch() -> None:
    found = sample_ratio([0, 0], [1, 1])
    assert (found.p_value, found.p_fixed) == (1, 1)
    assert sample_ratio([50], [1]).p_fixed == 1


@pytest.mark.parametrize(("counts", "shares"), [([1, 2], [1, 1, 1]), ([-1, 2], [1, 1]), ([1, 2], [1, -1])])
def test_impossible_counts_are_refused(counts: list[int], shares: list[int]) -> None:
    with pytest.raises(BadInputError, match="one shape"):
        sample_ratio(counts, shares)
