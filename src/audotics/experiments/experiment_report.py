"""ExperimentReport: everything an analysis found, as frozen values that save and load."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from audotics.experiments.definition import Kind, MetricName, Role


def metric_text(metric: MetricName) -> str:
    """A metric's name in prose."""
    return metric.value.replace("_", " ")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(StrEnum):
    """What the always-valid, corrected p-value says of a treatment."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


class GuardrailState(StrEnum):
    """Whether a treatment loses more than is put up with."""

    BREACHED = "breached"
    """It surely does: stop."""
    SAFE = "safe"
    """It surely does not."""
    OPEN = "open"
    """Not known yet."""


class Severity(StrEnum):
    """What a finding means for the numbers."""

    FAULT = "fault"
    """They cannot be believed before it is explained."""
    WARNING = "warning"
    """They need a second look."""


class Effect(_Frozen):
    """Treatment against control, for a moment chosen beforehand and for any moment.

    Args:
        value: The estimate.
        error: Its standard error.
        low: Lower end of the fixed-horizon interval.
        high: Upper end.
        p_value: Two-sided, fixed horizon.
        always_low: Lower end of the always-valid interval.
        always_high: Upper end.
        always_p_value: Two-sided, always valid.
    """

    value: float
    error: float
    low: float
    high: float
    p_value: float
    always_low: float
    always_high: float
    always_p_value: float


class Comparison(_Frozen):
    """One metric of one treatment against the control.

    Args:
        metric: Which.
        role: What it decides.
        treatment: Name of the arm.
        control_mean: The control's mean or ratio.
        treatment_mean: The treatment's.
        n_control: Listeners.
        n_treatment: Listeners.
        difference: Treatment minus control; None while too little is known.
        relative: Treatment over control, minus 1; None where the control is not surely above 0.
        adjusted: The difference after CUPED, on which the verdict rests.
        adjusted_relative: The relative change after CUPED.
        explained: Share of the variance that CUPED took out.
        p_corrected: The adjusted always-valid p-value, corrected for the number of questions of the role.
        probability_best: Of the treatment against the control alone, flat priors; a view.
        verdict: See `Verdict`; skips are better when lower.
    """

    metric: MetricName
    role: Role
    treatment: str
    control_mean: float | None
    treatment_mean: float | None
    n_control: int
    n_treatment: int
    difference: Effect | None
    relative: Effect | None
    adjusted: Effect | None
    adjusted_relative: Effect | None
    explained: float
    p_corrected: float = 1.0
    probability_best: float | None = None
    verdict: Verdict = Verdict.UNDECIDED


class GuardrailResult(_Frozen):
    """Whether a treatment keeps a guardrail, at all looks together.

    Args:
        metric: Which.
        treatment: Name of the arm.
        margin: Relative loss that is put up with.
        state: See `GuardrailState`.
        gain_low: The relative gain (a loss is negative) is surely above this; None is unknown.
        gain_high: And surely below this.
    """

    metric: MetricName
    treatment: str
    margin: float
    state: GuardrailState
    gain_low: float | None
    gain_high: float | None


class Look(_Frozen):
    """The adjusted difference as it stood at the end of a day.

    Args:
        metric: Which.
        treatment: Name of the arm.
        day: 0 is the first.
        n: Listeners of both arms.
        effect: None while too little is known.
    """

    metric: MetricName
    treatment: str
    day: int
    n: int
    effect: Effect | None


class Finding(_Frozen):
    """Something that a check of the data found.

    Args:
        check: Which check.
        severity: What it means.
        text: What is wrong, with numbers.
        p_value: How unlikely without a fault; None where it is no matter of chance.
    """

    check: str
    severity: Severity
    text: str
    p_value: float | None = None


class ArmReport(_Frozen):
    """An arm.

    Args:
        name: Its name.
        is_control: Whether the others are compared with it.
        share: Hundredths of a percent that it is dealt now.
        n_listeners: Listeners who were shown something and count.
        n_answers: Answers shown to them.
    """

    name: str
    is_control: bool
    share: int
    n_listeners: int
    n_answers: int


class ExperimentReport(_Frozen):
    """Everything an analysis found.

    Args:
        name: Of the experiment.
        kind: How it compares.
        created_at: When the analysis was made, UTC.
        start: First moment that counts.
        end: End of the last whole day that counts.
        n_days: Days that count.
        alpha: False alarms that are put up with.
        planned_listeners: Listeners of both arms for whom the always-valid intervals are tuned.
        arms: The control first.
        comparisons: Primary metrics first.
        guardrails: One for each treatment and guardrail metric.
        looks: How the primary metrics stood after each day.
        findings: What the checks found; empty is good.
        probability_best: Metric -> arm -> probability to be the best of all arms.
        sample_ratio_p_value: Always valid.
        stop: Why the experiment should be stopped now; None if it should not.
    """

    name: str
    kind: Kind
    created_at: datetime
    start: datetime
    end: datetime
    n_days: int
    alpha: float
    planned_listeners: int
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    guardrails: tuple[GuardrailResult, ...]
    looks: tuple[Look, ...]
    findings: tuple[Finding, ...]
    probability_best: dict[MetricName, dict[str, float]]
    sample_ratio_p_value: float
    stop: str | None = None

    @property
    def believable(self) -> bool:
        """Whether no check found a fault."""
        return all(finding.severity is not Severity.FAULT for finding in self.findings)
