from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from audotics.experiments.cuped import adjust, covariates
from audotics.experiments.ratios import difference, estimate


def arms(n: int, effect: float, seed: int, weight: float = 0.8) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Values that the past explains to ``weight ** 2``, in two arms; and that past."""
    rng = np.random.default_rng(seed)
    past = [rng.gamma(2.0, 1 / np.sqrt(2), (n, 1)) for _ in range(2)]
    noise = np.sqrt(1 - weight**2)
    values = [weight * one[:, 0] + noise * rng.normal(size=n) for one in past]
    return [values[0], values[1] + effect], past


def test_the_adjustment_is_the_regression_with_arms_and_past() -> None:
    values, past = arms(300, 0.5, 0)
    adjusted = adjust(values, past)
    arm = np.repeat([0.0, 1.0], 300)
    design = np.column_stack([np.ones(600), arm, np.concatenate(past)])
    peer = sm.OLS(np.concatenate(values), design).fit()
    gap = adjusted.values[1].mean() - adjusted.values[0].mean()
    assert gap == pytest.approx(peer.params[1], rel=1e-9)


def test_the_variance_shrinks_by_what_the_past_explains() -> None:
    values, past = arms(20_000, 0.0, 1)
    adjusted = adjust(values, past)
    assert adjusted.explained == pytest.approx(0.64, abs=0.02)
    for before, after in zip(values, adjusted.values, strict=True):
        assert after.var() == pytest.approx(before.var() * (1 - adjusted.explained), rel=0.05)
    assert estimate(adjusted.values[0]).error < 0.65 * estimate(values[0]).error


def test_intervals_of_adjusted_values_cover_the_truth() -> None:
    covered = []
    for seed in range(600):
        values, past = arms(120, 0.3, seed)
        found = difference(*adjust(values, past).values)
        covered.append(found.low <= 0.3 <= found.high)
    # Three standard errors of a share of 95 % in 600 experiments are 2.7 points.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.027)


@given(st.floats(0.1, 50), st.floats(-10, 10))
def test_units_of_the_past_do_not_matter(unit: float, level: float) -> None:
    values, past = arms(40, 0.2, 2)
    before = adjust(values, past)
    after = adjust(values, [unit * one + level for one in past])
    assert after.values[1] == pytest.approx(before.values[1], abs=1e-6)


def test_a_past_that_says_nothing_changes_nothing() -> None:
    values, past = arms(50, 0.2, 3)
    constant = adjust(values, [np.ones_like(one) for one in past])
    assert constant.explained == 0
    assert constant.values[0] == pytest.approx(values[0])
    unknown = adjust([np.full(3, np.nan), np.ones(2)], [np.ones((3, 1)), np.ones((2, 1))])
    assert unknown.explained == 0
    assert np.isnan(unknown.values[0]).all()


def test_new_listeners_have_a_level_of_their_own() -> None:
    past = covariates(np.array([2.0, 6.0, 0.0]), np.array([4.0, 8.0, 0.0]))
    assert past[:, 2].tolist() == [1, 1, 0]
    assert past[2, 0] == pytest.approx(past[:2, 0].mean())
    assert past[:, 1] == pytest.approx(np.log1p([4, 8, 0]))
    assert (covariates(np.zeros(4), np.zeros(4)) == 0).all()
