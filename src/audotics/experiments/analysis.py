"""From what was logged to an `ExperimentReport`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from audotics.errors import BadInputError
from audotics.experiments import checks
from audotics.experiments.bayes import best_of_means
from audotics.experiments.definition import Experiment, Kind, Metric, MetricName, Role
from audotics.experiments.differing_before import differing_before, trends
from audotics.experiments.effects import (
    LOWER_IS_BETTER,
    PLANNED_LISTENERS,
    ArmValues,
    Looking,
    absolute_effect,
    relative_effect,
    values_by_arm,
)
from audotics.experiments.experiment_report import (
    ArmReport,
    Comparison,
    Effect,
    ExperimentReport,
    Finding,
    GuardrailResult,
    Look,
    Verdict,
)
from audotics.experiments.guardrails import judge, stop_reason
from audotics.experiments.listener_days import exposures_of, listener_days
from audotics.experiments.mismatch import sample_ratio
from audotics.experiments.multiple import corrected
from audotics.experiments.per_listener import ListenerDays, Period
from audotics.experiments.ratios import estimate

_ORDER = (Role.PRIMARY, Role.GUARDRAIL, Role.SECONDARY)


def analyse(
    experiment: Experiment,
    outcomes: pl.DataFrame,
    events: pl.DataFrame,
    now: datetime,
    *,
    tracks: pl.DataFrame | None = None,
    planned_listeners: int = PLANNED_LISTENERS,
) -> ExperimentReport:
    """Analyse an experiment with separate arms, every day if you like: see `audotics.experiments.sequential`.

    Args:
        experiment: What is analysed.
        outcomes: From `audotics.journal.outcomes.outcomes`, of any experiment, testers included.
        events: All events since `audotics.experiments.listener_days.PAST_DAYS` days before the start.
        now: Moment of the analysis, UTC; a stopped experiment ends when it was stopped.
        tracks: track_id and artist_id, for the diversity of artists; without it tracks are counted.
        planned_listeners: Listeners of both arms at which always-valid intervals are narrowest. Choose it
            before the start and keep it.

    Raises:
        BadInputError: It has not begun, nobody was shown anything, or its arms are interleaved.
        MissingExtraError: statsmodels is not installed.
    """
    period = _period(experiment, now)
    control = experiment.control_arm.name
    arms = (control, *(arm.name for arm in experiment.treatments))
    shown = exposures_of(outcomes, experiment.name)
    days = listener_days(
        shown, events, arms=arms, period=period, tracks=tracks, left_out=experiment.overrides
    )
    looking = Looking(experiment.alpha, planned_listeners)
    table = _Table(days, looking, experiment.metrics)
    guardrails = table.guardrails()
    findings, ratio = _findings(experiment, days, shown, outcomes, looking)
    return ExperimentReport(
        name=experiment.name,
        kind=experiment.kind,
        created_at=now,
        start=period.start,
        end=period.end,
        n_days=period.n_days,
        alpha=experiment.alpha,
        planned_listeners=planned_listeners,
        arms=_arms(experiment, days),
        comparisons=_judged(table.comparisons(), experiment.alpha),
        guardrails=guardrails,
        looks=tuple(table.looks()),
        findings=findings,
        probability_best=table.probability_best(),
        sample_ratio_p_value=ratio,
        stop=stop_reason(guardrails),
    )


def analysed_from(experiment: Experiment) -> datetime:
    """First moment that counts: the start, or the last change that moved the arms' shares against each other.

    While shares differed, so did the days on which the arms' listeners came: comparing them would compare
    days. A ramp that grows all arms alike loses nothing.

    Raises:
        BadInputError: It was never started.
    """
    if experiment.started_at is None:
        raise BadInputError("was never started", where=experiment.name, remedy="Start the experiment first")
    since = experiment.started_at
    kept: dict[str, float] | None = None
    for change in experiment.changes:
        total = sum(change.shares.values())
        parts = {arm: share / total for arm, share in change.shares.items()} if total else {}
        if kept is not None and any(abs(parts.get(arm, 0) - kept.get(arm, 0)) > 1e-9 for arm in parts | kept):
            since = max(since, change.at)
        kept = parts
    return since


@dataclass(frozen=True, slots=True)
class _Table:
    """Every metric of every arm."""

    days: ListenerDays
    looking: Looking
    metrics: tuple[Metric, ...]

    def comparisons(self) -> list[Comparison]:
        ordered = sorted(self.metrics, key=lambda metric: _ORDER.index(metric.role))
        found = []
        for metric in ordered:
            values = values_by_arm(self.days, metric.name)
            found += [self._comparison(metric, values, place) for place in range(1, len(self.days.arms))]
        return found

    def _comparison(self, metric: Metric, values: ArmValues, place: int) -> Comparison:
        plain, adjusted = (values.plain[0], values.plain[place]), (values.adjusted[0], values.adjusted[place])
        change = absolute_effect(*adjusted, self.looking)
        return Comparison(
            metric=metric.name,
            role=metric.role,
            treatment=self.days.arms[place],
            control_mean=_finite(estimate(plain[0]).value),
            treatment_mean=_finite(estimate(plain[1]).value),
            n_control=len(plain[0]),
            n_treatment=len(plain[1]),
            difference=absolute_effect(*plain, self.looking),
            relative=relative_effect(*plain, self.looking),
            adjusted=change,
            adjusted_relative=relative_effect(*adjusted, self.looking),
            explained=values.explained,
            probability_best=None if change is None else _chance_to_be_better(metric.name, change),
        )

    def guardrails(self) -> tuple[GuardrailResult, ...]:
        watched = [metric for metric in self.metrics if metric.role is Role.GUARDRAIL]
        n_guardrails = max(1, len(watched) * (len(self.days.arms) - 1))
        found = []
        for metric in watched:
            values = values_by_arm(self.days, metric.name).adjusted
            found += [
                judge(
                    metric.name, name, metric.margin, (values[0], values[place]), self.looking, n_guardrails
                )
                for place, name in enumerate(self.days.arms[1:], start=1)
            ]
        return tuple(found)

    def looks(self) -> Iterable[Look]:
        for metric in self.metrics:
            if metric.role is not Role.PRIMARY:
                continue
            for day in range(self.days.period.n_days):
                values = values_by_arm(self.days, metric.name, day).adjusted
                for place, name in enumerate(self.days.arms[1:], start=1):
                    yield Look(
                        metric=metric.name,
                        treatment=name,
                        day=day,
                        n=len(values[0]) + len(values[place]),
                        effect=absolute_effect(values[0], values[place], self.looking),
                    )

    def probability_best(self) -> dict[MetricName, dict[str, float]]:
        found = {}
        for metric in self.metrics:
            estimates = [estimate(values) for values in values_by_arm(self.days, metric.name).adjusted]
            if all(one.error > 0 for one in estimates):
                best = best_of_means(
                    [one.value for one in estimates],
                    [one.error for one in estimates],
                    lower_is_better=metric.name in LOWER_IS_BETTER,
                )
                found[metric.name] = dict(zip(self.days.arms, best.probability, strict=True))
        return found


def _period(experiment: Experiment, now: datetime) -> Period:
    if experiment.kind is Kind.INTERLEAVING:
        raise BadInputError(
            "its arms are mixed in each slate, so there are no separate arms to compare",
            where=experiment.name,
            remedy="Analyse it as an interleaving experiment",
        )
    end = min(now, experiment.stopped_at) if experiment.stopped_at else now
    return Period.until(analysed_from(experiment), end.astimezone(UTC))


def _findings(
    experiment: Experiment,
    days: ListenerDays,
    shown: pl.DataFrame,
    outcomes: pl.DataFrame,
    looking: Looking,
) -> tuple[tuple[Finding, ...], float]:
    """What the checks found, and the p-value of the sample ratio."""
    counts = np.bincount(days.arm, minlength=len(days.arms))
    ratio = sample_ratio(counts, _shares(experiment, days.arms))
    primary = [metric.name for metric in experiment.metrics if metric.role is Role.PRIMARY]
    until = outcomes.filter(pl.col("at") < days.period.end)
    found = [
        *checks.mismatched(ratio, days.arms),
        *checks.faulty_rows(shown),
        *checks.crossed(days),
        *checks.missing_arms(days),
        *checks.lost_events(days),
        *checks.spilled_over(until, days, experiment.name),
        *differing_before(days, looking),
        *trends(days, primary),
    ]
    return tuple(found), ratio.p_value


def _shares(experiment: Experiment, arms: tuple[str, ...]) -> list[int]:
    """Shares in force since `analysed_from`, up to proportion."""
    latest = experiment.changes[-1].shares if experiment.changes else {}
    return [latest.get(arm, experiment.arm(arm).share) for arm in arms]


def _arms(experiment: Experiment, days: ListenerDays) -> tuple[ArmReport, ...]:
    _, answers = days.sums(days.answers)
    return tuple(
        ArmReport(
            name=name,
            is_control=place == 0,
            share=share,
            n_listeners=int((days.arm == place).sum()),
            n_answers=int(answers[days.arm == place].sum()),
        )
        for place, (name, share) in enumerate(zip(days.arms, _shares(experiment, days.arms), strict=True))
    )


def _judged(comparisons: list[Comparison], alpha: float) -> tuple[Comparison, ...]:
    """With corrected p-values and verdicts: Holm inside each role, all treatments together."""
    judged = []
    for role in _ORDER:
        family = [one for one in comparisons if one.role is role]
        p_values = corrected([one.adjusted.always_p_value if one.adjusted else 1.0 for one in family])
        for one, p_value in zip(family, p_values, strict=True):
            verdict = _verdict(one, p_value, alpha)
            judged.append(one.model_copy(update={"p_corrected": p_value, "verdict": verdict}))
    return tuple(judged)


def _verdict(comparison: Comparison, p_value: float, alpha: float) -> Verdict:
    if comparison.adjusted is None or p_value >= alpha:
        return Verdict.UNDECIDED
    gain = comparison.adjusted.value * (-1 if comparison.metric in LOWER_IS_BETTER else 1)
    return Verdict.BETTER if gain > 0 else Verdict.WORSE


def _chance_to_be_better(metric: MetricName, effect: Effect) -> float:
    """With a flat prior the posterior of the difference is normal round the estimate."""
    z = effect.value / effect.error * (-1 if metric in LOWER_IS_BETTER else 1)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
