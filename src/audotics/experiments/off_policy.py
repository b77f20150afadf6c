"""Off-policy evaluation: what another policy would have earned, from the logs of the one that served.

Each track shown carries its propensity, the chance with which the logging policy showed it there. A target
policy that would show it with another chance weighs its reward by the ratio ``w = target / propensity``. A
slate's value is the sum of its places' rewards, and places are taken on their own: the chance of a track at
its place, and its reward given what stands there, must not depend on the rest of the slate (the
item-position assumption). Where rewards do depend on neighbours the estimates are biased by that.

=====  =================================================  ============================================
ips    mean of ``w r``                                    unbiased, wide where ``w`` is large
snips  ``sum(w r) / sum(w)`` at each place                nearly unbiased, bounded, steadier
dm     mean of a model's predictions for the target       as biased as the model
dr     ``dm`` plus mean of ``w (r - prediction)``         unbiased if propensities or the model are right
=====  =================================================  ============================================

Errors are over listeners: answers to one listener belong together. No estimator can tell what was never
shown. Where the target does what the log's policy never does, weights do not average 1; where few answers
carry all the weight, their effective number ``sum(w)^2 / sum(w^2)`` is small. Both are refused in words.

Sources: Horvitz & Thompson, JASA 1952; Swaminathan & Joachims, "The self-normalized estimator for
counterfactual learning", NeurIPS 2015; Dudík, Erhan, Langford & Li, "Doubly robust policy evaluation and
optimization", Statistical Science 2014; Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen, "Offline
evaluation of ranking policies with click models", KDD 2018 (item-position); Saito, Aihara, Matsutani &
Narita, "Open Bandit Dataset and Pipeline", NeurIPS 2021 (the peer, obp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from audotics.domain import TimeArray
from audotics.errors import BadInputError, RefusedError
from audotics.evaluation.significance import resampled_means
from audotics.experiments.ratios import estimate, linearised
from audotics.experiments.sequential import Array

LEAST_EFFECTIVE = 100.0
"""Answers that must stand behind an estimate, by their effective number."""

MOST_UNSEEN = 0.05
"""Share of what the target shows that the log may never show."""

_SURE = 4.0
"""Standard errors of the mean weight."""


class SupportError(RefusedError):
    """The log cannot tell what the target policy would have earned."""


class Estimator(StrEnum):
    """How logged rewards become the target's value; see the module."""

    IPS = "ips"
    SNIPS = "snips"
    DM = "dm"
    DR = "dr"


@dataclass(frozen=True, slots=True)
class Logged:
    """What was shown and what it earned, one row per track shown.

    Args:
        answer: ``[n_rows]`` number of the answer, from 0 without gaps.
        place: ``[n_rows]`` place in the slate, from 0.
        listener: ``[n_rows]`` number of the listener, from 0 without gaps.
        reward: ``[n_rows]``, such as 1 for a completion.
        propensity: ``[n_rows]`` chance with which the log's policy showed the track there.
        target: ``[n_rows]`` the same of the policy that is asked about.
        predicted: ``[n_rows]`` reward that a model predicts for the row; for `DR`.
        predicted_target: ``[n_rows]`` mean prediction at the row's place when the target chooses.

    Raises:
        BadInputError: Lengths differ, or a chance is impossible.
    """

    answer: TimeArray
    place: TimeArray
    listener: TimeArray
    reward: Array
    propensity: Array
    target: Array
    predicted: Array | None = None
    predicted_target: Array | None = None

    def __post_init__(self) -> None:
        given = [getattr(self, name) for name in self.__slots__]
        if len({len(array) for array in given if array is not None}) != 1 or not len(self.answer):
            raise BadInputError("the logged columns are empty or of different lengths", where="off-policy")
        if not ((self.propensity > 0) & (self.propensity <= 1 + 1e-6)).all():
            raise BadInputError(
                "a propensity is not above 0 and at most 1",
                where="off-policy",
                remedy="Leave out what was shown without a known chance",
            )
        if not ((self.target >= 0) & (self.target <= 1 + 1e-6)).all():
            raise BadInputError("a chance of the target policy is not from 0 to 1", where="off-policy")

    @property
    def n_answers(self) -> int:
        """Answers."""
        return int(self.answer.max()) + 1

    def weights(self, most: float = math.inf) -> Array:
        """``target / propensity``, cut off at ``most`` ``[n_rows]``."""
        return np.minimum(self.target / self.propensity, most)


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy would have earned per answer.

    Args:
        estimator: How it was estimated.
        value: The estimate.
        error: Its standard error over listeners.
        low: Lower end of the interval.
        high: Upper end.
        effective: Effective number of answers, at the place where it is smallest.
        mean_weight: Mean weight where it is smallest; 1 where the log shows all that the target would.
        n_answers: Answers in the log.
    """

    estimator: Estimator
    value: float
    error: float
    low: float
    high: float
    effective: float
    mean_weight: float
    n_answers: int


def policy_value(
    logged: Logged,
    estimator: Estimator,
    *,
    most_weight: float = math.inf,
    alpha: float = 0.05,
    n_resamples: int = 0,
    least_effective: float = LEAST_EFFECTIVE,
    most_unseen: float = MOST_UNSEEN,
    seed: int = 0,
) -> PolicyValue:
    """Estimate what the target policy would have earned per answer.

    Args:
        logged: The log, with the target's chances.
        estimator: Which one.
        most_weight: Weights are cut off here: less variance, and a bias towards 0 (`DR`: the model).
        alpha: One minus the interval's level.
        n_resamples: Bootstrap resamples of listeners for the interval (percentiles); 0 takes the normal
            approximation.
        least_effective: Fewest effective answers.
        most_unseen: Largest share of what the target shows that the log may never show.
        seed: Of the resampling.

    Raises:
        SupportError: The log cannot tell, see the module.
        BadInputError: The estimator needs predictions that are not there.
    """
    check_support(logged, least_effective=least_effective, most_unseen=most_unseen)
    earned = _earned(logged, estimator, most_weight)
    answers = np.bincount(logged.listener[_first_of_answer(logged)], minlength=int(logged.listener.max()) + 1)
    sums = np.bincount(logged.listener, earned, len(answers))
    values = linearised(sums.astype(np.float64), answers.astype(np.float64))
    found = estimate(values)
    half = float(stats.norm.isf(alpha / 2.0)) * found.error
    low, high = found.value - half, found.value + half
    if n_resamples:
        means = resampled_means(np.column_stack([sums, answers]).astype(np.float64), n_resamples, seed)
        low, high = np.quantile(means[:, 0] / means[:, 1], [alpha / 2.0, 1.0 - alpha / 2.0])
    return PolicyValue(
        estimator=estimator,
        value=found.value,
        error=found.error,
        low=float(low),
        high=float(high),
        effective=effective_answers(logged),
        mean_weight=float(_by_place(logged, logged.weights())[0].min()),
        n_answers=logged.n_answers,
    )


def effective_answers(logged: Logged) -> float:
    """``sum(w)^2 / sum(w^2)`` at the place where it is smallest; 0 where a place has no weight at all."""
    weights = logged.weights()
    total = np.bincount(logged.place, weights)
    squares = np.bincount(logged.place, weights**2)
    filled = np.bincount(logged.place) > 0
    return float((total[filled] ** 2 / np.where(squares > 0, squares, 1.0)[filled]).min())


def check_support(
    logged: Logged, *, least_effective: float = LEAST_EFFECTIVE, most_unseen: float = MOST_UNSEEN
) -> None:
    """Refuse where the log cannot tell.

    If the log's policy can show everything that the target would, weights average 1 at every place. A mean
    surely below ``1 - most_unseen`` says that so much of the target is never shown; one surely above 1,
    that propensities are not what they claim to be.

    Raises:
        SupportError: See above, or too few answers carry the weight.
    """
    means, errors = _by_place(logged, logged.weights())
    lowest = int(np.argmin(means + _SURE * errors))
    if means[lowest] + _SURE * errors[lowest] < 1.0 - most_unseen:
        raise SupportError(
            f"about {1.0 - means[lowest]:.0%} of what the target policy would show at place {lowest + 1} is"
            " never shown by the policy that was logged",
            where="off-policy",
            remedy="Explore more (explore, explore_pool), or ask about a policy nearer to the logged one",
        )
    highest = int(np.argmax(means - _SURE * errors))
    if means[highest] - _SURE * errors[highest] > 1.0 + most_unseen:
        raise SupportError(
            f"weights average {means[highest]:.2f} at place {highest + 1}, not 1: the logged propensities are"
            " too small, or the target's chances sum to more than 1",
            where="off-policy",
            remedy="See that both chances are of the same place and the same request",
        )
    effective = effective_answers(logged)
    if effective < least_effective:
        raise SupportError(
            f"only {effective:.0f} of {logged.n_answers:,} answers count effectively,"
            f" {least_effective:.0f} are needed",
            where="off-policy",
            remedy="Log longer, explore more, or ask about a policy nearer to the logged one",
        )


def _earned(logged: Logged, estimator: Estimator, most_weight: float) -> Array:
    """What each row adds to the value of its answer ``[n_rows]``."""
    weights = logged.weights(most_weight)
    if estimator is Estimator.IPS:
        return weights * logged.reward
    if estimator is Estimator.SNIPS:
        return _self_normalised(logged, weights)
    if logged.predicted_target is None or (logged.predicted is None and estimator is Estimator.DR):
        raise BadInputError(
            f"the estimator {estimator.value} needs a model's predictions",
            where="off-policy",
            remedy="Fit one with `audotics.experiments.reward_models.cross_fitted`",
        )
    if estimator is Estimator.DM or logged.predicted is None:
        return logged.predicted_target
    return logged.predicted_target + weights * (logged.reward - logged.predicted)


def _self_normalised(logged: Logged, weights: Array) -> Array:
    """Values whose mean over answers is the sum over places of ``sum(w r) / sum(w)``, linearised."""
    at = logged.place
    total = np.maximum(np.bincount(at, weights), 1e-300)
    ratio = np.bincount(at, weights * logged.reward) / total
    scale = np.bincount(at) / total
    # The second term sums to 0 at each place; it carries the variance.
    earned: Array = ratio[at] + scale[at] * weights * (logged.reward - ratio[at])
    return earned


def _by_place(logged: Logged, weights: Array) -> tuple[Array, Array]:
    """Mean weight at each place and its standard error over rows; places without rows have 1 and 0."""
    n = np.bincount(logged.place)
    total, squares = np.bincount(logged.place, weights), np.bincount(logged.place, weights**2)
    mean = np.where(n > 0, total / np.maximum(n, 1), 1.0)
    variance = np.maximum(squares / np.maximum(n, 1) - mean**2, 0.0)
    return mean, np.where(n > 0, np.sqrt(variance / np.maximum(n - 1, 1)), 0.0)


def _first_of_answer(logged: Logged) -> TimeArray:
    return np.unique(logged.answer, return_index=True)[1]
