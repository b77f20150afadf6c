"""What monitoring finds, as records that are cheap to load: servers show them and compute none."""

from __future__ import annotations

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict

from audotics.evaluation.heads import ProbabilityMetrics
from audotics.monitoring.verdicts import Verdict, worst

ALL_RUNGS = ""
"""Rung of a group that holds the answers of every rung."""


class Rate(BaseModel):
    """A rate with its 95 % interval.

    Args:
        value: None where nobody was asked.
        low: Lower end; None with fewer than two listeners.
        high: Upper end; None with fewer than two listeners.
        n: Tracks shown (play) or listened to (the others).
        n_listeners: Whose they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_listeners: int


class QuantityDrift(BaseModel):
    """One quantity then and now.

    Args:
        name: See `audotics.data.listening.listening`; ``score``, ``popularity:gini``, ``popularity:leaders``.
        verdict: Shifted or alarm only where the change is both large and more than chance.
        n_reference: Events (places of slates for scores) of the reference.
        n: Events of now.
        psi: Population stability index; None where the quantity has no cells.
        psi_by_chance: What the index would be without any change.
        ks: Largest difference of the distribution functions; None for values.
        then: A figure of the reference (Gini coefficient, turnover by chance, share of unknown listeners or
            tracks); None for the others.
        now: The same figure now.
        p_value: Of the test, corrected for asking about so many quantities (Holm); None where untested.
        note: What moved most, or why nothing can be said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    verdict: Verdict
    n_reference: int = 0
    n: int = 0
    psi: float | None = None
    psi_by_chance: float | None = None
    ks: float | None = None
    then: float | None = None
    now: float | None = None
    p_value: float | None = None
    note: str = ""


class DriftReport(BaseModel):
    """What `drift_report` found.

    Args:
        version: Whose reference it is.
        since: Begin of the listening looked at; None where there is none.
        until: Its end.
        n_events: Events looked at.
        n_listeners: Their listeners.
        n_exposures: Answers looked at.
        quantities: The most urgent first.
        note: Why there is nothing to compare with; empty otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    since: AwareDatetime | None
    until: AwareDatetime | None
    n_events: int
    n_listeners: int
    n_exposures: int
    quantities: tuple[QuantityDrift, ...]
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """The most urgent of all quantities."""
        return worst(quantity.verdict for quantity in self.quantities)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence for each quantity that is not steady."""
        return tuple(
            f"{one.name} is {one.verdict}: {one.note}" for one in self.quantities if one.verdict.level > 0
        )


class GroupQuality(BaseModel):
    """What became of the answers of one version and variant.

    Args:
        version: Who answered.
        variant: The experiment's arm, empty outside experiments.
        rung: Of the ladder; empty for all rungs together.
        n_answers: Answers.
        n_listeners: Who got them.
        rates: By metric, see `audotics.monitoring.rates.METRICS`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    variant: str
    rung: str
    n_answers: int
    n_listeners: int
    rates: dict[str, Rate]


class Lift(BaseModel):
    """How much better a variant does than the holdout without personalisation.

    Args:
        version: Who answered.
        variant: The experiment's arm, empty outside experiments.
        metric: What is compared.
        difference: Of the rates; positive is better for the variant (skips count the other way round).
        low: Lower end of the 95 % interval.
        high: Upper end.
        p_value: Two-sided, of no difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    variant: str
    metric: str
    difference: float
    low: float
    high: float
    p_value: float


class DayQuality(BaseModel):
    """All rates of one day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    n_listeners: int
    rates: dict[str, Rate]


class Drop(BaseModel):
    """The newest day of one metric.

    Args:
        metric: Its name.
        verdict: Shifted or alarm for a loss beyond chance; a gain is steady.
        day: The newest whole day.
        then: Mean of the days before.
        now: Of that day.
        p_value: Two-sided.
        n_days: How many days before there are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    verdict: Verdict
    day: date
    then: float
    now: float
    p_value: float
    n_days: int

    @property
    def reason(self) -> str:
        """In words."""
        return f"{self.metric} rate is {self.verdict}: {self.then:.1%} -> {self.now:.1%} on {self.day}"


class QualityReport(BaseModel):
    """What `quality_report` found.

    Args:
        since: Answers from then on.
        until: Answers up to then: later ones may still be played.
        groups: One for each version, variant and rung, and one for all rungs of each version and variant.
        lifts: Against the holdout, where there is one.
        days: Whole days, oldest first, the days before ``since`` included.
        drops: The newest whole day against those before, by metric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime
    until: AwareDatetime
    groups: tuple[GroupQuality, ...]
    lifts: tuple[Lift, ...]
    days: tuple[DayQuality, ...]
    drops: tuple[Drop, ...]

    @property
    def verdict(self) -> Verdict:
        """The most urgent of the drops."""
        return worst(drop.verdict for drop in self.drops)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence for each metric that dropped."""
        return tuple(drop.reason for drop in self.drops if drop.verdict.level > 0)


class PredictionQuality(BaseModel):
    """How well one version predicts what is played, for one variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    variant: str
    metrics: ProbabilityMetrics


class MonitorReport(BaseModel):
    """What monitoring found.

    Args:
        at: When it looked.
        version: Which version's reference it held listening against.
        drift: Listening and scores against training.
        quality: What listeners did with what they were shown.
        predictions: Scores against what happened.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    version: str
    drift: DriftReport
    quality: QualityReport
    predictions: tuple[PredictionQuality, ...]

    @property
    def verdict(self) -> Verdict:
        """The most urgent of drift and quality."""
        return worst((self.drift.verdict, self.quality.verdict))

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence for everything that is not steady; what lost quality comes first."""
        return (*self.quality.reasons, *self.drift.reasons)


class Summary(BaseModel):
    """A verdict with its reasons.

    Args:
        verdict: The most urgent.
        reasons: One sentence for everything that is not steady.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """The reasons in one line, empty where all is steady."""
        return "; ".join(self.reasons)
