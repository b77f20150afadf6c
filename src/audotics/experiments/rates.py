"""Two rates compared from counts, at every look, exactly: no normal approximation, any order of arrival.

For failures of a server, likes or any other yes and no. Each rate has a likelihood ratio: the chance of
what was seen averaged over rates drawn from ``Beta(a, b)``, over its chance at one rate ``p``. At the true
rate this is a martingale that starts at 1, and so is the product of both arms' ratios, whichever arm the
next answer comes from. By Ville's inequality the pairs of rates whose product stays below ``1 / alpha``
hold the true pair at all looks with probability ``1 - alpha``. The interval is the range of differences
``p_b - p_a`` in that set, the p-value of a difference the smallest product along it, turned over.

Promised for independent answers whose rate is constant in each arm.

Sources: Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
Statistics 1970; Howard, Ramdas, McAuliffe & Sekhon, Annals of Statistics 2021; Turner & Grünwald, "Exact
anytime-valid confidence intervals for contingency tables and beyond", Statistics & Probability Letters 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from audotics.errors import BadInputError
from audotics.experiments.sequential import Array, Numbers

PRIOR = (0.5, 0.5)
"""``Beta(a, b)`` of both arms (Jeffreys): suits rates near 0 as well as in the middle."""

_N_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class RateDifference:
    """How much the rate of arm b exceeds that of arm a; each an array of the inputs' shape.

    Args:
        difference: Observed rate of b minus that of a; NaN where an arm is empty.
        low: Lower end of the always-valid interval.
        high: Upper end.
        p_value: Always-valid two-sided p-value of "no difference".
    """

    difference: Array
    low: Array
    high: Array
    p_value: Array


def rate_difference(
    n_yes_a: Numbers, n_a: Numbers, n_yes_b: Numbers, n_b: Numbers, *, alpha: float = 0.05
) -> RateDifference:
    """Compare two rates at this look; see the module for what is promised over all looks.

    Args:
        n_yes_a: Answers of arm a that count (failures, likes).
        n_a: All answers of arm a.
        n_yes_b: The same for arm b.
        n_b: The same for arm b.
        alpha: Error probability over all looks.

    Raises:
        BadInputError: A count is below 0 or above the number of answers, or ``alpha`` is no probability.
    """
    arms = _Arms.of(n_yes_a, n_a, n_yes_b, n_b)
    if not 0 < alpha < 1:
        raise BadInputError(f"an error probability of {alpha} is not between 0 and 1", where="alpha")
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = arms.yes_b / arms.n_b - arms.yes_a / arms.n_a
    start = np.nan_to_num(difference)
    ends = np.stack([np.full_like(start, -1.0), np.full_like(start, 1.0)])
    low, high = _edges(arms, np.stack([start, start]), ends, -math.log(alpha))
    return RateDifference(
        difference=difference,
        low=low,
        high=high,
        p_value=np.exp(-np.maximum(arms.smallest_log_ratio(np.zeros_like(start)), 0.0)),
    )


def rate_excess_p_value(
    n_yes_a: Numbers, n_a: Numbers, n_yes_b: Numbers, n_b: Numbers, *, margin: float = 0.0
) -> Array:
    """Always-valid p-value of "the rate of b is at most ``margin`` above that of a"; small speaks against b.

    Args:
        n_yes_a: Answers of arm a that count (failures).
        n_a: All answers of arm a.
        n_yes_b: The same for arm b.
        n_b: The same for arm b.
        margin: By how much b's rate may be higher, from -1 to 1.

    Raises:
        BadInputError: A count is below 0 or above the number of answers.
    """
    arms = _Arms.of(n_yes_a, n_a, n_yes_b, n_b)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.nan_to_num(arms.yes_b / arms.n_b - arms.yes_a / arms.n_a, nan=-1.0)
    at_margin = arms.smallest_log_ratio(np.full(arms.n_a.shape, float(margin)))
    return np.where(difference > margin, np.exp(-np.maximum(at_margin, 0.0)), 1.0)


@dataclass(frozen=True, slots=True)
class _Arms:
    """Counts of both arms, broadcast to one shape."""

    yes_a: Array
    n_a: Array
    yes_b: Array
    n_b: Array

    @classmethod
    def of(cls, *counts: Numbers) -> _Arms:
        yes_a, n_a, yes_b, n_b = np.broadcast_arrays(*(np.asarray(count, np.float64) for count in counts))
        for yes, n in ((yes_a, n_a), (yes_b, n_b)):
            if not ((yes >= 0) & (yes <= n) & np.isfinite(n)).all():
                raise BadInputError(
                    "a count is below 0 or above the number of answers",
                    where="rates",
                    remedy="Give counts of answers that are part of the answers counted",
                )
        return cls(yes_a, n_a, yes_b, n_b)

    def smallest_log_ratio(self, difference: Array) -> Array:
        """Smallest log of the product of ratios among pairs of rates ``p`` and ``p + difference``.

        The log likelihood is concave in ``p``, so halving on the sign of its slope finds the place.
        """
        low, high = np.maximum(0.0, -difference), np.minimum(1.0, 1.0 - difference)
        for _ in range(_N_HALVINGS):
            p = (low + high) / 2.0
            q = p + difference
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = _slope(self.yes_a, self.n_a, p) + _slope(self.yes_b, self.n_b, q)
            up = slope > 0
            low, high = np.where(up, p, low), np.where(up, high, p)
        p = (low + high) / 2.0
        return _log_ratio(self.yes_a, self.n_a, p) + _log_ratio(self.yes_b, self.n_b, p + difference)


def _edges(arms: _Arms, inside: Array, outside: Array, limit: float) -> Array:
    """Where along the differences from ``inside`` to ``outside`` the smallest log ratio reaches ``limit``.

    ``[2, ...]``: towards lower and towards higher differences.
    """
    for _ in range(_N_HALVINGS):
        middle = (inside + outside) / 2.0
        fits = arms.smallest_log_ratio(middle) < limit
        inside, outside = np.where(fits, middle, inside), np.where(fits, outside, middle)
    return outside


def _slope(yes: Array, n: Array, p: Array) -> Array:
    """Derivative of the log likelihood; a term without answers is 0, also at the ends of the range."""
    up = np.where(yes > 0, yes / p, 0.0)
    down = np.where(n > yes, (n - yes) / (1.0 - p), 0.0)
    return up - down


def _log_ratio(yes: Array, n: Array, p: Array) -> Array:
    """Log of the averaged over the plain likelihood of one arm at rate ``p``."""
    a, b = PRIOR
    p = np.clip(p, 0.0, 1.0)
    averaged = special.betaln(a + yes, b + n - yes) - special.betaln(a, b)
    result: Array = averaged - special.xlogy(yes, p) - special.xlog1py(n - yes, -p)
    return result
