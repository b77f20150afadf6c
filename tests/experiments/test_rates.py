from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from audotics.errors import BadInputError
from audotics.experiments.rates import rate_difference, rate_excess_p_value

arms = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def by_grid(yes_a: int, n_a: int, yes_b: int, n_b: int, difference: float) -> float:
    """Smallest product of the arms' ratios along a difference, by looking everywhere."""
    p = np.linspace(max(0, -difference), min(1, 1 - difference), 20_001)

    def log_ratio(yes: int, n: int, rate: np.ndarray) -> np.ndarray:
        averaged = special.betaln(yes + 0.5, n - yes + 0.5) - special.betaln(0.5, 0.5)
        return averaged - special.xlogy(yes, rate) - special.xlog1py(n - yes, -rate)

    return float((log_ratio(yes_a, n_a, p) + log_ratio(yes_b, n_b, np.clip(p + difference, 0, 1))).min())


@pytest.mark.parametrize("counts", [(3, 40, 9, 50), (0, 30, 4, 20), (0, 10, 0, 5000), (50, 50, 40, 60)])
def test_p_value_and_interval_are_what_a_grid_finds(counts: tuple[int, int, int, int]) -> None:
    found = rate_difference(*counts)
    assert found.p_value == pytest.approx(min(1, np.exp(-by_grid(*counts, 0.0))), rel=1e-4)
    for end in (float(found.low), float(found.high)):
        if abs(end) < 1 - 1e-9:
            assert by_grid(*counts, end) == pytest.approx(np.log(20), abs=1e-3)


@given(arms, arms)
@settings(max_examples=15)
def test_intervals_hold_the_estimate_and_swap_with_the_arms(a: tuple[int, int], b: tuple[int, int]) -> None:
    found, swapped = rate_difference(*a, *b), rate_difference(*b, *a)
    assert found.low <= found.difference <= found.high
    assert swapped.low == pytest.approx(-found.high, abs=1e-9)
    assert swapped.p_value == pytest.approx(found.p_value, rel=1e-6)
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_an_empty_arm_says_nothing() -> None:
    found = rate_difference([0, 5], [0, 10], [3, 0], [9, 0])
    assert np.isnan(found.difference).all()
    assert (found.low <= -0.3).all()
    assert (found.p_value == 1).all()
    assert (rate_excess_p_value([0, 5], [0, 10], [3, 0], [9, 0]) == 1).all()


def test_an_excess_is_tested_against_its_margin() -> None:
    counts = (100, 10_000, 300, 10_000)
    assert rate_excess_p_value(*counts) < 1e-9
    assert rate_excess_p_value(*counts, margin=0.01) < 0.03
    assert rate_excess_p_value(*counts, margin=0.0201) == 1
    assert rate_excess_p_value(300, 10_000, 100, 10_000) == 1
    # A long past of the other arm costs nothing: five failures in ten are enough against 1 in 1,000.
    assert rate_excess_p_value(100, 100_000, 5, 10, margin=0.01) < 1e-3


@pytest.mark.parametrize("counts", [(5, 3, 0, 1), (-1, 3, 0, 1), (0, 1, 0, np.inf)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInputError, match="count"):
        rate_difference(*counts)


def test_impossible_alpha_is_refused() -> None:
    with pytest.raises(BadInputError, match="probability"):
        rate_difference(1, 2, 1, 2, alpha=0.0)


@pytest.mark.parametrize("rate", [0.002, 0.3])
def test_looks_after_every_answer_stay_honest_at_rare_rates_too(rate: float) -> None:
    rng = np.random.default_rng(3)
    answers = rng.random((400, 1500, 2)) < rate
    # The second arm starts late and gets one answer in three.
    takes = (np.arange(1500)[:, None] % 3 == 0) & (np.arange(1500)[:, None] > 200)
    n_b = np.cumsum(takes[:, 0])[9::10]
    n_a = np.arange(10, 1501, 10)
    yes_a = answers[:, :, 0].cumsum(axis=1)[:, 9::10]
    yes_b = (answers[:, :, 1] & takes[:, 0]).cumsum(axis=1)[:, 9::10]
    p = rate_excess_p_value(yes_a, n_a, yes_b, n_b)
    alarms = (p <= 0.05).any(axis=1).mean()
    assert alarms <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_intervals_are_not_much_wider_than_fixed_ones() -> None:
    found = rate_difference(3000, 10_000, 3100, 10_000)
    fixed = stats.norm.ppf(0.975) * np.sqrt(0.3 * 0.7 * 2 / 10_000)
    assert (found.high - found.low) / 2 < 2.7 * fixed
