from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from audotics.errors import BadInputError
from audotics.experiments.sequential import (
    always_valid_interval,
    always_valid_p_value,
    lower_bound,
    mixture_ratio,
    mixture_scale,
    one_sided_p_value,
    upper_bound,
)

estimates = st.floats(-3, 3)
errors = st.floats(0.01, 2.0)
scales = st.floats(0.05, 5.0)


def averaged_ratio(estimate: float, error: float, scale: float, sides: int) -> float:
    """The likelihood ratio, averaged over effects by quadrature: the definition, not the formula."""

    def weighted(effect: float) -> float:
        weight = stats.norm.pdf(effect, 0, scale) * (2 if sides == 1 else 1)
        return weight * np.exp((effect * estimate - effect**2 / 2) / error**2)

    low = 0.0 if sides == 1 else -12 * scale
    return integrate.quad(weighted, low, 12 * scale, limit=400, points=[0.0, estimate])[0]


@pytest.mark.parametrize("estimate", [-0.3, 0.0, 0.4, 0.9])
@pytest.mark.parametrize("error", [0.3, 0.5])
def test_p_values_are_the_averaged_likelihood_ratio(estimate: float, error: float) -> None:
    two = always_valid_p_value(estimate, error, 0.7)
    one = one_sided_p_value(estimate, error, 0.7)
    assert two == pytest.approx(min(1.0, 1 / averaged_ratio(estimate, error, 0.7, 2)), rel=1e-6)
    assert one == pytest.approx(min(1.0, 1 / averaged_ratio(estimate, error, 0.7, 1)), rel=1e-6)


@given(estimates, errors, scales, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_holds_what_the_p_value_does_not_reject(
    estimate: float, error: float, scale: float, alpha: float
) -> None:
    low, high = always_valid_interval(estimate, error, scale, alpha)
    for end in (low, high):
        assert always_valid_p_value(estimate, error, scale, null=float(end)) == pytest.approx(alpha, rel=1e-6)
    bound = lower_bound(estimate, error, scale, alpha)
    assert one_sided_p_value(estimate, error, scale, null=float(bound)) == pytest.approx(alpha, rel=1e-6)
    assert low < bound < estimate
    assert upper_bound(-estimate, error, scale, alpha) == -bound


@given(estimates, errors, scales, st.floats(0.1, 50))
def test_units_do_not_matter(estimate: float, error: float, scale: float, unit: float) -> None:
    before = always_valid_p_value(estimate, error, scale)
    after = always_valid_p_value(estimate * unit, error * unit, scale * unit)
    assert after == pytest.approx(before, rel=1e-6)


@given(errors, st.floats(0.2, 5.0))
def test_the_tuned_scale_gives_the_narrowest_interval_there(error: float, factor: float) -> None:
    assume(abs(factor - 1) > 0.01)
    tuned = mixture_scale(error)
    best = always_valid_interval(0.0, error, tuned)[1]
    assert best < always_valid_interval(0.0, error, tuned * factor)[1]
    # At the tuned place the width has a closed form.
    assert best == pytest.approx(error * np.sqrt(1 + mixture_ratio()), rel=1e-9)


def test_always_valid_intervals_are_wider_but_not_by_much_at_the_planned_end() -> None:
    half = always_valid_interval(0.0, 1.0, mixture_scale(1.0))[1]
    assert 1.4 < half / stats.norm.ppf(0.975) < 1.6


def test_no_information_means_no_claim() -> None:
    low, high = always_valid_interval([1.0, np.nan, 2.0], [0.0, 1.0, np.nan], 1.0)
    assert np.isneginf(low).all()
    assert np.isposinf(high).all()
    assert (always_valid_p_value([1.0, np.nan], [0.0, 1.0], 1.0) == 1).all()
    assert (one_sided_p_value([1.0, 2.0], [0.0, np.nan], 1.0) == 1).all()
    assert np.isneginf(lower_bound(1.0, 0.0, 1.0))


@pytest.mark.parametrize(
    "call",
    [
        lambda: mixture_scale(0.0),
        lambda: mixture_scale(1.0, alpha=1.0),
        lambda: always_valid_interval(0.0, 1.0, 0.0),
        lambda: always_valid_interval(0.0, 1.0, 1.0, alpha=0.0),
        lambda: lower_bound(0.0, 1.0, 1.0, alpha=2.0),
    ],
)
def test_impossible_arguments_are_refused(call) -> None:
    with pytest.raises(BadInputError):
        call()


def walks(n_walks: int, n_looks: int, effect: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Means of skewed values with their estimated errors, after each of many looks ``[n_walks, n_looks]``."""
    rng = np.random.default_rng(7)
    values = rng.exponential(1.0, (n_walks, n_looks, 40)) - 1.0 + effect
    counts = 40 * np.arange(1, n_looks + 1)
    means = values.sum(axis=2).cumsum(axis=1) / counts
    squares = (values**2).sum(axis=2).cumsum(axis=1) / counts
    return means, np.sqrt((squares - means**2) / counts)


def test_daily_looks_stay_honest_where_naive_ones_do_not() -> None:
    means, error = walks(1500, 60)
    scale = mixture_scale(1 / np.sqrt(2400))
    ever = (always_valid_p_value(means, error, scale) <= 0.05).any(axis=1).mean()
    naive = (2 * stats.norm.sf(np.abs(means / error)) <= 0.05).any(axis=1).mean()
    one_sided = (one_sided_p_value(-means, error, scale) <= 0.05).any(axis=1).mean()
    # Three standard errors of a share of 5 % in 1,500 walks.
    assert ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)
    assert one_sided <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)
    assert naive > 0.25


def test_an_effect_is_found_and_covered_at_all_looks() -> None:
    means, error = walks(400, 60, effect=0.12)
    scale = mixture_scale(1 / np.sqrt(2400))
    low, high = always_valid_interval(means, error, scale)
    covered = ((low <= 0.12) & (high >= 0.12)).all(axis=1).mean()
    assert covered >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)
    assert (low[:, -1] > 0).mean() > 0.95
