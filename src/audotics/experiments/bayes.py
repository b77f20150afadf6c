"""Probability to be best: another view of the same numbers. It decides nothing here.

It answers "how likely is it that this arm is the best one", given flat beliefs before. It is no protection
against looking often, nor against having asked many questions, so no verdict rests on it.

Source: Scott, "A modern Bayesian look at the multi-armed bandit", Applied Stochastic Models in Business and
Industry 2010; Stucchio, "Bayesian A/B testing at VWO", 2015 (expected loss).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audotics.errors import BadInputError
from audotics.experiments.sequential import Array

N_DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class Best:
    """Beliefs about which arm is best.

    Args:
        probability: ``[n_arms]``, summing to 1.
        expected_loss: ``[n_arms]`` what choosing the arm costs on average, in the metric's unit.
    """

    probability: tuple[float, ...]
    expected_loss: tuple[float, ...]


def best_of_means(
    means: Sequence[float],
    errors: Sequence[float],
    *,
    lower_is_better: bool = False,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> Best:
    """From estimates that are near normal (means, ratios), with flat priors.

    Args:
        means: ``[n_arms]``.
        errors: ``[n_arms]`` standard errors, above 0.
        lower_is_better: For skips.
        n_draws: Draws of the posterior; the Monte Carlo error of a probability is 0.002 at most by default.
        seed: Of the draws.

    Raises:
        BadInputError: An error is not above 0.
    """
    spread = np.asarray(errors, np.float64)
    if not (np.isfinite(spread) & (spread > 0)).all():
        raise BadInputError("every arm needs a standard error above 0", where="probability to be best")
    draws = np.random.default_rng(seed).normal(np.asarray(means), spread, (n_draws, len(means)))
    return _judge(-draws if lower_is_better else draws)


def best_of_rates(n_yes: Sequence[int], n: Sequence[int], *, n_draws: int = N_DRAWS, seed: int = 0) -> Best:
    """From counts of independent yes and no, one per listener, with uniform priors (Beta-Binomial).

    Args:
        n_yes: ``[n_arms]`` listeners for whom it came true.
        n: ``[n_arms]`` listeners.
        n_draws: Draws of the posterior.
        seed: Of the draws.

    Raises:
        BadInputError: More came true than there were.
    """
    yes, total = np.asarray(n_yes, np.float64), np.asarray(n, np.float64)
    if ((yes < 0) | (yes > total)).any():
        raise BadInputError("a count is below 0 or above its total", where="probability to be best")
    rng = np.random.default_rng(seed)
    return _judge(rng.beta(1.0 + yes, 1.0 + total - yes, (n_draws, len(yes))))


def _judge(draws: Array) -> Best:
    """``draws``: ``[n_draws, n_arms]``, higher is better."""
    wins = np.bincount(draws.argmax(axis=1), minlength=draws.shape[1]) / len(draws)
    loss = (draws.max(axis=1, keepdims=True) - draws).mean(axis=0)
    return Best(tuple(wins.tolist()), tuple(loss.tolist()))
