"""Evidence that a mean is too high, one value at a time, to be read after every value.

For values between 0 and 1 whose law nobody knows: shares, late or not, unlike or not. Somebody bets on each
value that it is above ``most``, never more than they have::

    wealth *= 1 + bet * (value - most),   0 <= bet < 1 / most

While the mean of each value, whatever came before it, is ``most`` or less, the wealth does not grow on
average, so it ever reaches ``1 / alpha`` with probability ``alpha`` at most (Ville 1939). Bets of several
sizes are placed side by side and their wealth averaged: small ones find small excesses, large ones need few
values for gross ones. Values may depend on each other, and their law may change.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
Statistical Society B 2024.
"""

from __future__ import annotations

import math

import numpy as np

from audotics.errors import BadInputError

_SIZES = np.array([0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.95])
"""Bets as shares of the largest one that cannot ruin."""


class MeanAbove:
    """Bets against "the mean of these values in [0, 1] is at most ``most``".

    Args:
        most: Above 0, below 1.

    Raises:
        BadInputError: ``most`` is not between 0 and 1.

    Attributes:
        n: Values seen.
    """

    def __init__(self, most: float) -> None:
        if not 0 < most < 1:
            raise BadInputError(f"a bound of {most} is not between 0 and 1", where="MeanAbove")
        self.most = most
        self.n = 0
        self._sum = 0.0
        self._log_wealth = np.zeros_like(_SIZES)
        self._best = 0.0

    def add(self, value: float) -> None:
        """Take one value; those outside of [0, 1] count as the nearer end."""
        value = min(1.0, max(0.0, value))
        self.n += 1
        self._sum += value
        self._log_wealth += np.log1p(_SIZES * (value / self.most - 1.0))
        top = float(self._log_wealth.max())
        average = top + math.log(float(np.exp(self._log_wealth - top).mean()))
        self._best = max(self._best, average)

    @property
    def mean(self) -> float:
        """Of the values seen; NaN before the first."""
        return self._sum / self.n if self.n else math.nan

    @property
    def p_value(self) -> float:
        """The smallest so far: ``P(ever <= alpha) <= alpha`` while the mean is ``most`` or less."""
        return math.exp(-self._best)
