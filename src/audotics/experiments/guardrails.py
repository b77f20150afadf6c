"""Guardrails: a treatment may cost so much and no more, and is stopped once it surely costs more.

A guardrail is judged at every look, so its bounds are always valid and one-sided. The error probability is
shared by all guardrails of an experiment: a treatment that keeps every margin is stopped with probability
``alpha`` at most, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from audotics.experiments.definition import MetricName
from audotics.experiments.effects import LOWER_IS_BETTER, Looking
from audotics.experiments.experiment_report import GuardrailResult, GuardrailState, metric_text
from audotics.experiments.ratios import Estimate, estimate, relative_change
from audotics.experiments.sequential import Array, lower_bound, upper_bound


def judge(
    metric: MetricName,
    treatment: str,
    margin: float,
    arms: tuple[Array, Array],
    looking: Looking,
    n_guardrails: int = 1,
) -> GuardrailResult:
    """Hold one treatment against one guardrail.

    Args:
        metric: Which; skips are better when lower.
        treatment: Name of the arm.
        margin: Relative loss against the control that is put up with.
        arms: Values of the control and of the treatment, see `audotics.experiments.effects.values_by_arm`.
        looking: Error probability and plan of the experiment.
        n_guardrails: Guardrails and treatments that share the error probability.
    """
    change = relative_change(estimate(arms[0]), estimate(arms[1]))
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    low, high = _bounds(Estimate(sign * change.value, change.error, change.n), looking, n_guardrails)
    state = GuardrailState.OPEN
    if high < -margin:
        state = GuardrailState.BREACHED
    elif low > -margin:
        state = GuardrailState.SAFE
    return GuardrailResult(
        metric=metric,
        treatment=treatment,
        margin=margin,
        state=state,
        gain_low=low if math.isfinite(low) else None,
        gain_high=high if math.isfinite(high) else None,
    )


def stop_reason(guardrails: Sequence[GuardrailResult]) -> str | None:
    """Why an experiment should be stopped now, in words; None if no guardrail is breached."""
    broken = [one for one in guardrails if one.state is GuardrailState.BREACHED]
    if not broken:
        return None
    return "; ".join(
        f"{one.treatment} makes {metric_text(one.metric)} worse by more than {one.margin:.1%}"
        f" (by {-(one.gain_high or 0.0):.1%} at least)"
        for one in broken
    )


def _bounds(gain: Estimate, looking: Looking, n_guardrails: int) -> tuple[float, float]:
    alpha = looking.alpha / n_guardrails
    # A one-sided mixture at alpha is narrowest where a two-sided one at 2 alpha is.
    scale = looking.scale(gain, alpha=min(2.0 * alpha, 0.5))
    low = float(lower_bound(gain.value, gain.error, scale, alpha))
    return low, float(upper_bound(gain.value, gain.error, scale, alpha))
