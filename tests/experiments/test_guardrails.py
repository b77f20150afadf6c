from __future__ import annotations

import numpy as np
import pytest

from audotics.experiments.definition import MetricName
from audotics.experiments.effects import Looking, absolute_effect, relative_effect
from audotics.experiments.experiment_report import GuardrailResult, GuardrailState
from audotics.experiments.guardrails import judge, stop_reason

LOOKING = Looking(0.05, planned_listeners=1600)


def arms(n: int, change: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 0.5, n), rng.gamma(2.0, 0.5, n) * (1 + change)


def judged(
    change: float, margin: float, metric: MetricName = MetricName.COMPLETION, n: int = 4000
) -> GuardrailResult:
    return judge(metric, "b", margin, arms(n, change, 1), LOOKING)


@pytest.mark.parametrize(
    ("change", "margin", "metric", "state"),
    [
        (-0.2, 0.05, MetricName.COMPLETION, GuardrailState.BREACHED),
        (-0.2, 0.4, MetricName.COMPLETION, GuardrailState.SAFE),
        (0.2, 0.0, MetricName.COMPLETION, GuardrailState.SAFE),
        (0.2, 0.05, MetricName.SKIP, GuardrailState.BREACHED),
        (-0.2, 0.0, MetricName.SKIP, GuardrailState.SAFE),
        (-0.05, 0.05, MetricName.COMPLETION, GuardrailState.OPEN),
    ],
)
def test_states(change: float, margin: float, metric: MetricName, state: GuardrailState) -> None:
    assert judged(change, margin, metric).state is state


def test_bounds_hold_the_gain_and_widen_with_more_guardrails() -> None:
    alone = judged(-0.2, 0.05)
    shared = judge(MetricName.COMPLETION, "b", 0.05, arms(4000, -0.2, 1), LOOKING, n_guardrails=5)
    assert None not in (alone.gain_low, alone.gain_high, shared.gain_low, shared.gain_high)
    assert shared.gain_low < alone.gain_low < -0.2 < alone.gain_high < shared.gain_high  # type: ignore[operator]


def test_too_little_is_known_to_stop() -> None:
    found = judge(MetricName.LIKE, "b", 0.0, (np.zeros(50), np.zeros(50)), LOOKING)
    assert found.state is GuardrailState.OPEN
    assert found.gain_low is None
    assert found.gain_high is None


def test_reasons_name_every_breach_and_nothing_else() -> None:
    broken, kept = judged(-0.2, 0.05), judged(0.2, 0.05)
    assert stop_reason([kept]) is None
    reason = stop_reason([kept, broken])
    assert reason is not None
    assert reason.startswith("b makes completion worse by more than 5.0%")


def test_a_treatment_at_its_margin_is_seldom_stopped_however_often_one_looks() -> None:
    stops = 0
    for seed in range(200):
        control, treatment = arms(800, -0.05, seed)
        looks = range(100, 801, 100)
        states = [
            judge(MetricName.COMPLETION, "b", 0.05, (control[:n], treatment[:n]), LOOKING).state
            for n in looks
        ]
        stops += GuardrailState.BREACHED in states
    assert stops / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_effects_of_too_little_are_none() -> None:
    assert absolute_effect(np.ones(3), np.ones(3), LOOKING) is None
    assert absolute_effect(np.ones(1), np.arange(3.0), LOOKING) is None
    assert relative_effect(np.array([1.0, -1.0, 0.5]), np.arange(3.0), LOOKING) is None


def test_the_scale_does_not_depend_on_when_one_looks() -> None:
    control, treatment = arms(20_000, 0.0, 3)
    widths = []
    for n in (2000, 20_000):
        effect = absolute_effect(control[:n], treatment[:n], LOOKING)
        assert effect is not None
        ratio = (effect.always_high - effect.value) / effect.error
        widths.append(ratio)
    # Away from the plan the interval is wider in errors, on both sides of it.
    planned = absolute_effect(control[:800], treatment[:800], LOOKING)
    assert planned is not None
    assert (planned.always_high - planned.value) / planned.error < min(widths)
