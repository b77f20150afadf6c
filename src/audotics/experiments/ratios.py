"""Means and ratios over listeners, with errors that know that a listener's tracks belong together.

Listeners are what is dealt out to arms, so listeners are what is sampled. "Completions per track started"
is a ratio of two sums over listeners; its error comes from the delta method: with ``R = sum(N) / sum(D)``
the linearised value of a listener is ``R + (N - R D) / mean(D)``. Its mean is ``R`` and its variance
over ``n`` is the variance of ``R``, so everything that works on means (Welch's test, CUPED,
sequential tests) works on ratios too. A mean is the ratio whose denominators are 1.

Sources: Deng, Knoblich & Lu, "Applying the delta method in metric analytics", KDD 2018; Budylin, Drutsa,
Katsev & Tsoy, "Consistent transformation of ratio metrics for efficient online controlled experiments",
WSDM 2018 (linearisation); Welch, "The generalization of Student's problem", Biometrika 1947.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from audotics.experiments.sequential import Array

_FEWEST = 2
"""Listeners an arm needs for an error."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and how sure it is.

    Args:
        value: The estimate; NaN where there is none.
        error: Its standard error; NaN where it is unknown.
        n: Listeners behind it.
    """

    value: float
    error: float
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A treatment minus the control, at one moment that was chosen beforehand.

    Args:
        value: Mean of the treatment minus that of the control.
        error: Its standard error (unequal variances).
        low: Lower end of Welch's interval.
        high: Upper end.
        p_value: Two-sided, Welch's t-test; 1 where nothing is known.
        n: Listeners in both arms.
    """

    value: float
    error: float
    low: float
    high: float
    p_value: float
    n: int


def linearised(numerator: Array, denominator: Array) -> Array:
    """One value per listener whose mean is the ratio of sums and whose variance is the delta method's.

    Args:
        numerator: ``[n_listeners]`` sums, such as completions.
        denominator: ``[n_listeners]`` sums, such as tracks started; 0 for listeners without any.

    Returns:
        ``[n_listeners]``; NaN throughout where all denominators are 0.
    """
    mean = denominator.mean() if len(denominator) else 0.0
    if mean == 0:
        return np.full(len(numerator), np.nan)
    ratio = numerator.mean() / mean
    values: Array = ratio + (numerator - ratio * denominator) / mean
    return values


def estimate(values: Array) -> Estimate:
    """Mean of (linearised) values with its standard error."""
    n = len(values)
    if n < _FEWEST or not np.isfinite(values).all():
        return Estimate(float(values.mean()) if n else math.nan, math.nan, n)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(n)), n)


def difference(control: Array, treatment: Array, alpha: float = 0.05) -> Difference:
    """Welch's test of (linearised) values, at a fixed horizon.

    Args:
        control: ``[n_control]``.
        treatment: ``[n_treatment]``.
        alpha: One minus the interval's level.
    """
    first, second = estimate(control), estimate(treatment)
    gap, error = second.value - first.value, math.hypot(first.error, second.error)
    n = first.n + second.n
    if not error > 0:
        return Difference(gap, math.nan, -math.inf, math.inf, 1.0, n)
    # From moments: scipy's test on the values themselves warns where one arm hardly varies.
    deviations = [one.error * math.sqrt(one.n) for one in (first, second)]
    test = stats.ttest_ind_from_stats(
        second.value, deviations[1], second.n, first.value, deviations[0], first.n, equal_var=False
    )
    freedom = error**4 / (first.error**4 / (first.n - 1) + second.error**4 / (second.n - 1))
    half = float(stats.t.isf(alpha / 2.0, freedom)) * error
    return Difference(gap, error, gap - half, gap + half, float(test.pvalue), n)


def relative_change(control: Estimate, treatment: Estimate) -> Estimate:
    """``treatment / control - 1`` by the delta method; NaN where the control is not surely above 0.

    Variance: ``s_t^2 / c^2 + t^2 s_c^2 / c^4``. Below four errors from 0 the ratio is not near normal.
    """
    n = control.n + treatment.n
    if not control.value > 4.0 * control.error:
        return Estimate(math.nan, math.nan, n)
    ratio = treatment.value / control.value
    error = math.hypot(treatment.error, ratio * control.error) / control.value
    return Estimate(ratio - 1.0, error, n)
