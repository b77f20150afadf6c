"""Checks before belief: is the log whole, were listeners dealt as they should be, were the arms alike before?

A finding of severity *fault* means that no number of the report can be believed until it is explained.
Thresholds are strict, for a check that cries often is not heard; how often each cries without a fault
is measured by ``scripts/measure_experiments.py faults``.

Sources: Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019;
Kohavi, Tang & Xu, "Trustworthy online controlled experiments", 2020, chapters 3, 19 and 21.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.domain import BoolArray
from audotics.experiments.experiment_report import Finding, Severity
from audotics.experiments.mismatch import Mismatch
from audotics.experiments.per_listener import ListenerDays, totals
from audotics.experiments.ratios import difference, linearised

MISMATCH_ALPHA = 0.01
"""Of the always-valid test of sample ratios, over all looks."""

LOSS_ALPHA = 0.001
"""Of events that one arm seems to have lost, shared by its days."""

LEAST_LOSS = 0.2
"""Smallest relative drop of answers with events that is called a loss: a better model changes it too."""

_FEWEST_EXPECTED = 30
"""Listeners an arm should have had on a day before their absence is a fault."""

_CROSSED = 0.001
"""Share of listeners seen in several arms from which on it is a fault."""


def mismatched(found: Mismatch, arms: tuple[str, ...]) -> list[Finding]:
    """Whether the arms have the listeners they were dealt."""
    if found.p_value >= MISMATCH_ALPHA:
        return []
    parts = ", ".join(
        f"{arm} {seen:.2%} (dealt {dealt:.2%})"
        for arm, seen, dealt in zip(arms, found.observed, found.expected, strict=True)
    )
    text = f"sample-ratio mismatch: the arms' listeners are {parts}"
    return [Finding(check="sample ratio", severity=Severity.FAULT, text=text, p_value=found.p_value)]


def faulty_rows(shown: pl.DataFrame) -> list[Finding]:
    """Rows that a whole log cannot hold.

    Args:
        shown: From `audotics.experiments.listener_days.exposures_of`.
    """
    repeated = shown.height - shown.select("request_id", "position").n_unique()
    users = shown.group_by("request_id").agg(pl.col("user_id").n_unique())
    shared = users.filter(pl.col("user_id") > 1).height
    propensity = pl.col("propensity")
    impossible = shown.filter(~((propensity > 0) & (propensity <= 1))).height
    counts = {
        f"{repeated:,} places of answers were logged more than once": repeated,
        f"{shared:,} request ids belong to several listeners": shared,
        f"{impossible:,} propensities are not above 0 and at most 1": impossible,
    }
    return [_fault("exposure log", text) for text, n in counts.items() if n]


def crossed(days: ListenerDays) -> list[Finding]:
    """Listeners seen in several arms; they are left out of the analysis."""
    if not days.n_crossed:
        return []
    share = days.n_crossed / (days.n_crossed + len(days.arm))
    text = f"{days.n_crossed:,} listeners ({share:.2%}) were seen in several arms; they do not count"
    severity = Severity.FAULT if share > _CROSSED else Severity.WARNING
    return [Finding(check="assignment", severity=severity, text=text)]


def missing_arms(days: ListenerDays) -> list[Finding]:
    """Days on which an arm was shown nothing although it should have been."""
    n_arms, n_days = len(days.arms), days.period.n_days
    cells = days.arm[days.answers.listener] * n_days + days.answers.day
    seen = np.bincount(cells, minlength=n_arms * n_days).reshape(n_arms, n_days)
    # Each arm's listeners of a usual day, scaled by how busy this day was.
    busy = seen.sum(axis=0) / max(seen.sum(), 1)
    expected = seen.sum(axis=1, keepdims=True) * busy
    findings = []
    for arm, name in enumerate(days.arms):
        absent = np.flatnonzero((seen[arm] == 0) & (expected[arm] >= _FEWEST_EXPECTED))
        if len(absent):
            findings.append(_fault("exposure log", f"{name} was shown nothing on {_days(absent.tolist())}"))
    return findings


def lost_events(days: ListenerDays) -> list[Finding]:
    """Arms whose answers are followed by events much less often than the other arms', overall or on days.

    A whole arm may really be worse; a loss that comes and goes by the day is a fault of the log.
    """
    findings = []
    n_days, n_arms = days.period.n_days, len(days.arms)
    level = LOSS_ALPHA / (n_arms * (n_days + 1))
    for arm, name in enumerate(days.arms):
        own = days.arm == arm
        drops = {day: _drop(days, own, day, level) for day in (None, *range(n_days))}
        lost = [day for day, drop in drops.items() if drop is not None and day is not None]
        whole = drops[None]
        if lost:
            worst = min(drop for day in lost if (drop := drops[day]) is not None)
            text = f"{name} has up to {-worst:.0%} fewer answers with events than the others on {_days(lost)}"
            findings.append(_fault("event log", text))
        elif whole is not None:
            text = f"{name} has {-whole:.0%} fewer answers with events than the others: lost, or worse?"
            findings.append(Finding(check="event log", severity=Severity.WARNING, text=text))
    return findings


def _drop(days: ListenerDays, own: BoolArray, day: int | None, level: float) -> float | None:
    """Relative drop of answers with events of an arm against the rest on one day; None if there is none."""
    of, answers = days.answers, days.answers.denominator
    on_day = np.ones(len(of.day), np.bool_) if day is None else of.day == day
    if answers is None or not on_day.any():
        return None
    started = totals(of.listener[on_day], of.numerator[on_day], len(own))
    shown = totals(of.listener[on_day], answers[on_day], len(own))
    rest, here = ~own & (shown > 0), own & (shown > 0)
    usual = started[rest].sum() / max(shown[rest].sum(), 1.0)
    if usual == 0 or not here.any():
        return None
    found = difference(
        linearised(started[rest], shown[rest]), linearised(started[here], shown[here]), alpha=0.05
    )
    # Without any event the arm has no variance, and that is the plainest loss of all.
    silent = started[here].sum() == 0 and here.sum() >= _FEWEST_EXPECTED
    drop = float(found.value / usual)
    return drop if drop < -LEAST_LOSS and (found.p_value < level or silent) else None


def spilled_over(shown_before: pl.DataFrame, days: ListenerDays, experiment: str) -> list[Finding]:
    """Whether arms of another experiment are spread unevenly over the arms of this one.

    Listeners bring along what an earlier arm did to them; that hurts nothing if every arm got its share.

    Args:
        shown_before: Outcomes up to the end of the analysis, of any experiment (``user_id``, ``variant``).
        days: The listeners of this one.
        experiment: Its name.
    """
    from scipy.stats import chi2_contingency

    others = _other_arms(shown_before, experiment).join(
        pl.DataFrame({"user_id": days.user_ids, "own": days.arm}), on="user_id"
    )
    findings = []
    for (name,), part in sorted(others.group_by("experiment"), key=lambda group: str(group[0])):
        table = part.pivot("own", index="other", values="user_id", aggregate_function="len").fill_null(0)
        counts = table.drop("other").to_numpy()
        if min(counts.shape) < 2 or counts.sum(axis=0).min() * counts.sum(axis=1).min() < 5 * counts.sum():
            continue
        p_value = float(chi2_contingency(counts).pvalue)
        if p_value < LOSS_ALPHA:
            text = f"carry-over: listeners of the arms of {name} are spread unevenly over these arms"
            findings.append(Finding(check="carry-over", severity=Severity.FAULT, text=text, p_value=p_value))
    return findings


def _other_arms(shown: pl.DataFrame, experiment: str) -> pl.DataFrame:
    """``user_id``, ``experiment``, ``other``: each listener's first arm in each other experiment."""
    pairs = shown.lazy().select("user_id", "variant").drop_nulls().unique()
    labels = pairs.with_columns(pl.col("variant").str.split(",")).explode("variant")
    parts = labels.filter(pl.col("variant").str.contains(":", literal=True)).with_columns(
        experiment=pl.col("variant").str.extract(r"^([^:]+):"), other=pl.col("variant").str.extract(r":(.+)$")
    )
    others = parts.filter(pl.col("experiment") != experiment)
    return others.group_by("user_id", "experiment").agg(pl.col("other").min()).collect()


def _fault(check: str, text: str) -> Finding:
    return Finding(check=check, severity=Severity.FAULT, text=text)


def _days(days: list[int]) -> str:
    return ("day " if len(days) == 1 else "days ") + ", ".join(str(day + 1) for day in days)
