"""One metric of all arms: linearised values, with and without CUPED, and what they say of a treatment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from audotics.experiments import cuped
from audotics.experiments.definition import MetricName
from audotics.experiments.experiment_report import Effect
from audotics.experiments.per_listener import ListenerDays
from audotics.experiments.ratios import Estimate, difference, estimate, linearised, relative_change
from audotics.experiments.sequential import (
    Array,
    always_valid_interval,
    always_valid_p_value,
    mixture_ratio,
)

PLANNED_LISTENERS = 10_000
"""Listeners of both arms at which always-valid intervals are narrowest, where nobody planned."""

LOWER_IS_BETTER = frozenset({MetricName.SKIP})


@dataclass(frozen=True, slots=True)
class ArmValues:
    """One metric, one value per listener and arm (see `audotics.experiments.ratios.linearised`).

    Args:
        plain: ``[n_listeners]`` of each arm.
        adjusted: The same after CUPED.
        explained: Share of the variance that CUPED took out.
    """

    plain: tuple[Array, ...]
    adjusted: tuple[Array, ...]
    explained: float


@dataclass(frozen=True, slots=True)
class Looking:
    """How differences are judged.

    Args:
        alpha: False alarms that are put up with.
        planned_listeners: Of both arms; must be the same at every look.
    """

    alpha: float = 0.05
    planned_listeners: int = PLANNED_LISTENERS

    def scale(self, found: Estimate, alpha: float | None = None) -> float:
        """Scale of the mixture: tuned for the error that is expected with the planned number of listeners.

        It rests on the deviation of one listener's value, which does not depend on when one looks, and on the
        plan. NaN-free: without an error it is 1, and the interval the whole line.
        """
        if not found.error > 0:
            return 1.0
        expected = found.error * math.sqrt(found.n / self.planned_listeners)
        return expected * math.sqrt(mixture_ratio(self.alpha if alpha is None else alpha))


def values_by_arm(days: ListenerDays, metric: MetricName, last: int | None = None) -> ArmValues:
    """Values of every listener present by the end of a day (None: the last).

    Each arm's values have that arm's ratio as their mean.
    """
    numerator, denominator = days.sums(days.metrics[metric], last=last)
    present = days.present(last)
    members = [np.flatnonzero(present & (days.arm == place)) for place in range(len(days.arms))]
    plain = tuple(linearised(numerator[who], denominator[who]) for who in members)
    # What is known of the past is made over all listeners, whatever their arm: it must not learn of arms.
    past = cuped.covariates(*days.past[metric])
    adjusted = cuped.adjust(plain, [past[who] for who in members])
    return ArmValues(plain, adjusted.values, adjusted.explained)


def absolute_effect(control: Array, treatment: Array, looking: Looking) -> Effect | None:
    """The difference of means; None while an arm has no error yet."""
    found = difference(control, treatment, looking.alpha)
    if not found.error > 0:
        return None
    fixed = (found.low, found.high, found.p_value)
    return _effect(Estimate(found.value, found.error, found.n), fixed, looking)


def relative_effect(control: Array, treatment: Array, looking: Looking) -> Effect | None:
    """The relative change; None while the control is not surely above 0."""
    found = relative_change(estimate(control), estimate(treatment))
    if not found.error > 0:
        return None
    half = float(stats.norm.isf(looking.alpha / 2.0)) * found.error
    p_value = float(2.0 * stats.norm.sf(abs(found.value) / found.error))
    return _effect(found, (found.value - half, found.value + half, p_value), looking)


def _effect(found: Estimate, fixed: tuple[float, float, float], looking: Looking) -> Effect:
    scale = looking.scale(found)
    low, high = always_valid_interval(found.value, found.error, scale, looking.alpha)
    return Effect(
        value=found.value,
        error=found.error,
        low=fixed[0],
        high=fixed[1],
        p_value=fixed[2],
        always_low=float(low),
        always_high=float(high),
        always_p_value=float(always_valid_p_value(found.value, found.error, scale)),
    )
