"""Arms that differed before the start, and effects that wear off: two reasons to doubt a difference."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from audotics.experiments.definition import MetricName
from audotics.experiments.effects import Looking
from audotics.experiments.experiment_report import Finding, Severity, metric_text
from audotics.experiments.per_listener import ListenerDays
from audotics.experiments.ratios import Estimate, difference, estimate, linearised
from audotics.experiments.sequential import Array, always_valid_p_value

BEFORE_ALPHA = 0.01
"""Of the always-valid tests of the past, shared by all metrics and treatments."""

TREND_ALPHA = 0.01
"""Of the test whether an effect changed; made once the experiment is two weeks old."""

_WEEK = 7


def differing_before(days: ListenerDays, looking: Looking) -> list[Finding]:
    """Metrics in which an arm's listeners were different before the start, more than chance would have it.

    That happens where an earlier experiment with the same salt carries over, where listeners chose their arm,
    or where an arm loses listeners of one kind. It is an A/A test on the past, read at every look.
    """
    pasts = {metric: past for metric, past in days.past.items() if past[1].any()}
    n_tests = max(1, len(pasts) * (len(days.arms) - 1))
    findings = []
    for metric, (numerator, denominator) in pasts.items():
        groups = [_past_values(days, place, numerator, denominator) for place in range(len(days.arms))]
        for place, name in enumerate(days.arms[1:], start=1):
            found = difference(groups[0], groups[place])
            if not found.error > 0:
                continue
            gap = Estimate(found.value, found.error, found.n)
            scale = looking.scale(gap, BEFORE_ALPHA / n_tests)
            p_value = float(always_valid_p_value(gap.value, gap.error, scale))
            if p_value < BEFORE_ALPHA / n_tests:
                text = (
                    f"carry-over: {name} and {days.arms[0]} differed in {metric_text(metric)}"
                    f" already before the start ({groups[place].mean():.4g} against {groups[0].mean():.4g})"
                )
                findings.append(
                    Finding(check="carry-over", severity=Severity.FAULT, text=text, p_value=p_value)
                )
    return findings


def _past_values(days: ListenerDays, place: int, numerator: Array, denominator: Array) -> Array:
    known = (days.arm == place) & (denominator > 0)
    return linearised(numerator[known], denominator[known])


def trends(days: ListenerDays, metrics: Iterable[MetricName]) -> list[Finding]:
    """Effects that differ between each listener's first week and later: novelty wears off, habits form.

    Listeners who have been there for over a week are compared with themselves: the linearised value of their
    first week minus that of later, treatment against control.
    """
    if days.period.n_days < 2 * _WEEK:
        return []
    findings = []
    for metric in metrics:
        rows = days.metrics[metric]
        first = days.sums(rows, ages=(0, _WEEK))
        later = days.sums(rows, ages=(_WEEK, days.period.n_days))
        stayed = (first[1] > 0) & (later[1] > 0)
        for place, name in enumerate(days.arms[1:], start=1):
            groups = [np.flatnonzero(stayed & (days.arm == arm)) for arm in (0, place)]
            early, late = (
                [linearised(part[0][who], part[1][who]) for who in groups] for part in (first, later)
            )
            found = difference(early[0] - late[0], early[1] - late[1])
            if found.p_value < TREND_ALPHA:
                before, after = (estimate(one[1]).value - estimate(one[0]).value for one in (early, late))
                text = (
                    f"the effect of {name} on {metric_text(metric)} changes:"
                    f" {before:+.4g} in a listener's first week, {after:+.4g} later"
                )
                findings.append(
                    Finding(check="trend", severity=Severity.WARNING, text=text, p_value=found.p_value)
                )
    return findings
