from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from audotics.experiments.ratios import Estimate, difference, estimate, linearised, relative_change


def listeners(n: int, seed: int, rate: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Completions and starts: listeners differ in how much they play and in how much of it they finish."""
    rng = np.random.default_rng(seed)
    starts = rng.poisson(rng.lognormal(2.0, 1.0, n))
    return rng.binomial(starts, rng.beta(8 * rate, 8 * (1 - rate), n)).astype(float), starts.astype(float)


def test_the_mean_of_linearised_values_is_the_ratio_of_sums() -> None:
    completed, started = listeners(500, 1)
    assert linearised(completed, started).mean() == pytest.approx(completed.sum() / started.sum())


def test_a_mean_is_a_ratio_with_denominators_of_one() -> None:
    values = np.random.default_rng(2).exponential(3.0, 50)
    assert linearised(values, np.ones(50)) == pytest.approx(values)


def test_the_error_is_that_of_repeated_samples() -> None:
    ratios, errors = [], []
    for seed in range(600):
        completed, started = listeners(300, seed)
        found = estimate(linearised(completed, started))
        ratios.append(found.value)
        errors.append(found.error)
    # 600 samples know their standard deviation to 3 %.
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.1)
    # Counting tracks as if they were independent gives a much smaller error.
    completed, started = listeners(300, 0)
    naive = np.sqrt(ratios[0] * (1 - ratios[0]) / started.sum())
    assert errors[0] > 1.5 * naive


def test_listeners_without_a_start_change_no_ratio_and_are_counted() -> None:
    completed, started = listeners(200, 3)
    more = linearised(np.append(completed, [0.0] * 50), np.append(started, [0.0] * 50))
    assert more.mean() == pytest.approx(completed.sum() / started.sum())
    assert len(more) == 250
    assert np.isnan(linearised(np.zeros(3), np.zeros(3))).all()
    assert len(linearised(np.zeros(0), np.zeros(0))) == 0


def test_differences_are_welch_s() -> None:
    rng = np.random.default_rng(4)
    control, treatment = rng.normal(0, 1, 40), rng.normal(0.5, 3, 25)
    found = difference(control, treatment, alpha=0.1)
    peer = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    assert found.p_value == pytest.approx(peer.ttest_ind(usevar="unequal")[1])
    assert (found.low, found.high) == pytest.approx(peer.tconfint_diff(alpha=0.1, usevar="unequal"))
    assert found.value == pytest.approx(treatment.mean() - control.mean())
    assert found.error == pytest.approx(np.sqrt(stats.sem(control) ** 2 + stats.sem(treatment) ** 2))
    assert found.n == 65


@given(st.floats(0.1, 100), st.floats(-5, 5))
def test_units_and_levels_do_not_change_the_p_value(unit: float, level: float) -> None:
    rng = np.random.default_rng(5)
    control, treatment = rng.exponential(1, 30), rng.exponential(1.4, 30)
    before = difference(control, treatment).p_value
    assert difference(unit * control + level, unit * treatment + level).p_value == pytest.approx(before)


@pytest.mark.parametrize("treatment", [[], [1.0], [1.0, 1.0, 1.0], [np.nan, np.nan]])
def test_too_little_says_nothing(treatment: list[float]) -> None:
    found = difference(np.ones(5), np.array(treatment))
    assert found.p_value == 1
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert np.isnan(found.error)


def test_relative_changes_have_the_error_of_repeated_samples() -> None:
    rng = np.random.default_rng(6)
    changes, errors = [], []
    for _ in range(800):
        control, treatment = rng.exponential(2.0, 200), rng.exponential(2.6, 300)
        found = relative_change(estimate(control), estimate(treatment))
        changes.append(found.value)
        errors.append(found.error)
    assert np.mean(changes) == pytest.approx(0.3, abs=0.02)
    assert np.mean(errors) == pytest.approx(np.std(changes), rel=0.1)


def test_no_relative_change_against_a_control_near_zero() -> None:
    assert np.isnan(relative_change(Estimate(0.3, 0.1, 9), Estimate(0.5, 0.1, 9)).value)
    assert np.isnan(relative_change(Estimate(0.3, np.nan, 9), Estimate(0.5, 0.1, 9)).value)
    assert relative_change(Estimate(0.5, 0.1, 9), Estimate(0.6, 0.1, 9)).value == pytest.approx(0.2)
