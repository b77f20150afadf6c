"""How far a distribution has moved: population stability index and Kolmogorov-Smirnov, and how sure that is.

The index of two sets of shares p and q is the sum of (p - q) ln(p / q) (Siddiqi, "Credit Risk Scorecards",
2006; the usual reading: below 0.1 steady, above 0.25 another population). It is never zero: with B cells
and independent draws its expectation under no change is (B - 1)(1/n + 1/m), so that small samples alarm
(Yurdakul & Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
Validation 2020). Events are not independent either: here the covariance of the shares over listeners takes
the place of the multinomial one. To first order the index is the chi-square distance of p and q, a
weighted sum of chi-squares whose weights are the eigenvalues of that covariance; its tail is that of the F
distribution with the same mean and variance (Rao & Scott, JASA 1981; Thomas & Rao, JASA 1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from audotics.data.distributions import N_QUANTILES, Distribution, Vector

_SMOOTHING = 0.5
"""Events added to every cell, so that an empty one has a logarithm."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a distribution lies from its reference.

    Args:
        psi: Population stability index.
        by_chance: What the index is expected to be without any change.
        psi_p_value: Chance of such an index without any change.
        ks: Largest difference of the two distribution functions, 0 to 1, exact to 0.005; None for values.
        ks_p_value: Chance of such a difference without any change; None for values.
    """

    psi: float
    by_chance: float
    psi_p_value: float
    ks: float | None = None
    ks_p_value: float | None = None

    @property
    def p_value(self) -> float:
        """Of both tests together (Bonferroni)."""
        if self.ks_p_value is None:
            return self.psi_p_value
        return min(1.0, 2 * self.psi_p_value, 2 * self.ks_p_value)


def psi(reference: Vector, shares: Vector) -> float:
    """Population stability index of two sets of positive shares ``[n_cells]``."""
    return float(((shares - reference) * np.log(shares / reference)).sum())


def distance(reference: Distribution, recent: Distribution) -> Distance:
    """How far ``recent`` lies from ``reference``, which has the same cells; both have events.

    Listeners of both are taken as independent. Those who are in both make their shares more alike, so the
    tests find a change less often than they state, never more often.
    """
    p, q = _smoothed(recent), _smoothed(reference)
    weights = _weights(reference, recent)
    by_chance = float(weights.sum())
    found = psi(q, p)
    if by_chance == 0:  # both have one and the same cell
        return Distance(found, 0.0, 1.0)
    pooled = _pooled(reference, recent)
    seen = pooled > 0
    chi_square = float(((recent.shares - reference.shares)[seen] ** 2 / pooled[seen]).sum())
    freedom = by_chance**2 / float((weights**2).sum())
    n_clusters = max(2.0, min(reference.n_effective, recent.n_effective))
    tail = float(stats.f.sf(chi_square / by_chance, freedom, freedom * (n_clusters - 1)))
    if not (reference.quantiles and recent.quantiles):
        return Distance(found, by_chance, tail)
    return Distance(found, by_chance, tail, *_kolmogorov_smirnov(reference, recent))


def _smoothed(of: Distribution) -> Vector:
    counts = np.asarray(of.counts, np.float64) + _SMOOTHING
    shares: Vector = counts / counts.sum()
    return shares


def _pooled(reference: Distribution, recent: Distribution) -> Vector:
    shares: Vector = np.add(reference.counts, recent.counts) / (reference.n + recent.n)
    return shares


def _weights(reference: Distribution, recent: Distribution) -> Vector:
    """Weights of the chi-squares that the index is a sum of, without any change; none is negative."""
    pooled = _pooled(reference, recent)
    seen = pooled > 0
    if seen.sum() < 2:
        return np.zeros(1)
    scale = 1 / np.sqrt(pooled[seen])
    covariance = (np.asarray(reference.covariance) + np.asarray(recent.covariance))[np.ix_(seen, seen)]
    weights = np.linalg.eigvalsh(covariance * np.outer(scale, scale)).clip(0)
    # What independent events would give is the least: a few listeners may agree by accident.
    least = (seen.sum() - 1) * (1 / reference.n + 1 / recent.n)
    total = weights.sum()
    if total < least:
        return np.full(seen.sum() - 1, 1 / reference.n + 1 / recent.n)
    return np.asarray(weights)


def _kolmogorov_smirnov(reference: Distribution, recent: Distribution) -> tuple[float, float]:
    """From the quantiles of both, with as many events as the independent draws that they are worth."""
    found = stats.ks_2samp(reference.quantiles, recent.quantiles, method="asymp").statistic
    gap = max(0.0, float(found) - 1 / N_QUANTILES)
    worth = [one.n / one.design_effect_below for one in (reference, recent)]
    n = worth[0] * worth[1] / (worth[0] + worth[1])
    return gap, float(stats.kstwobign.sf(gap * np.sqrt(n)))
