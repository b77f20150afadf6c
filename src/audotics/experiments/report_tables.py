"""The tables of an experiment's report, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Sequence

from audotics.evaluation.cells import ReportTable
from audotics.experiments.definition import Role
from audotics.experiments.experiment_report import (
    Comparison,
    Effect,
    ExperimentReport,
    GuardrailState,
    metric_text,
)

_STATES = {
    GuardrailState.BREACHED: "breached: stop",
    GuardrailState.SAFE: "kept",
    GuardrailState.OPEN: "not known yet",
}
_NOTHING = "–"
_HOW_TO_READ = (
    "Change: relative, after CUPED, which takes out what the listeners' past explains. Fixed: interval for"
    " one day chosen beforehand. Any day: interval that covers at all looks together; its p-value, corrected"
    " for several questions (Holm), gives the verdict."
)


def headline(report: ExperimentReport) -> str:
    """What came out, in a sentence or two."""
    parts = [_result(report)]
    if report.stop:
        parts.insert(0, f"Stop: {report.stop}.")
    if not report.believable:
        parts.insert(0, "A check of the data failed: do not act on the numbers before it is explained.")
    return " ".join(parts)


def description(report: ExperimentReport) -> str:
    """What was analysed, in one line."""
    listeners = sum(arm.n_listeners for arm in report.arms)
    return (
        f"{report.n_days} {'day' if report.n_days == 1 else 'days'} from {report.start:%Y-%m-%d %H:%M} to"
        f" {report.end:%Y-%m-%d %H:%M} UTC, {listeners:,} listeners, false alarms {report.alpha:.0%} at most"
    )


def report_tables(report: ExperimentReport) -> tuple[ReportTable, ...]:
    """All tables, the most important first; empty ones are left out."""
    tables = [
        _findings(report),
        *(_comparisons(report, role) for role in (Role.PRIMARY, Role.GUARDRAIL, Role.SECONDARY)),
        _guardrails(report),
        _best(report),
        _arms(report),
    ]
    return tuple(table for table in tables if table.rows)


def _result(report: ExperimentReport) -> str:
    primary = [one for one in report.comparisons if one.role is Role.PRIMARY]
    decided = [one for one in primary if one.verdict != "undecided"]
    if not decided:
        return "No treatment is known to be better or worse in a primary metric yet."
    return " ".join(
        f"{one.treatment} is {one.verdict.value} in {metric_text(one.metric)}"
        f" ({percent(one.adjusted_relative, always=True)})."
        for one in decided
    )


def _comparisons(report: ExperimentReport, role: Role) -> ReportTable:
    titles = {
        Role.PRIMARY: "Primary metrics",
        Role.GUARDRAIL: "Metrics of the guardrails",
        Role.SECONDARY: "Secondary metrics",
    }
    rows = [_row(one) for one in report.comparisons if one.role is role]
    columns = ("metric", "control", "treatment", "change", "fixed", "any day", "p", "verdict")
    return ReportTable(titles[role], _HOW_TO_READ if role is Role.PRIMARY else "", columns, tuple(rows))


def _row(one: Comparison) -> tuple[str, ...]:
    change = one.adjusted_relative
    return (
        f"{metric_text(one.metric)}: {one.treatment}",
        _number(one.control_mean),
        _number(one.treatment_mean),
        _NOTHING if change is None else f"{change.value:+.2%}",
        percent(change),
        percent(change, always=True),
        p_text(one.p_corrected),
        one.verdict.value,
    )


def _guardrails(report: ExperimentReport) -> ReportTable:
    rows = [
        (
            f"{metric_text(one.metric)}: {one.treatment}",
            f"{one.margin:.1%}",
            _NOTHING if one.gain_low is None else f"{one.gain_low:+.2%}",
            _NOTHING if one.gain_high is None else f"{one.gain_high:+.2%}",
            _STATES[one.state],
        )
        for one in report.guardrails
    ]
    return ReportTable(
        "Guardrails",
        "The relative gain (a loss is negative) lies above the one and below the other bound at every look.",
        ("metric", "loss put up with", "gain above", "gain below", "state"),
        tuple(rows),
    )


def _best(report: ExperimentReport) -> ReportTable:
    names = [arm.name for arm in report.arms]
    rows = [
        (metric_text(metric), *(f"{arms.get(name, 0.0):.1%}" for name in names))
        for metric, arms in report.probability_best.items()
    ]
    return ReportTable(
        "Probability to be best",
        "A view, with flat beliefs before: no verdict rests on it; it does not know how often one looked.",
        ("metric", *names),
        tuple(rows),
    )


def _arms(report: ExperimentReport) -> ReportTable:
    rows: Sequence[tuple[str, ...]] = [
        (
            arm.name + (" (control)" if arm.is_control else ""),
            f"{arm.share / 100:.2f} %",
            f"{arm.n_listeners:,}",
            f"{arm.n_answers:,}",
        )
        for arm in report.arms
    ]
    note = f"Sample ratio: p = {p_text(report.sample_ratio_p_value)}, always valid."
    return ReportTable("Arms", note, ("arm", "share", "listeners", "answers"), tuple(rows))


def _findings(report: ExperimentReport) -> ReportTable:
    rows = [
        (
            f"{one.severity.value}, {one.check}: {one.text}",
            _NOTHING if one.p_value is None else p_text(one.p_value),
        )
        for one in report.findings
    ]
    note = "A fault means that no number here can be believed before it is explained."
    return ReportTable("Checks of the data", note, ("finding", "p"), tuple(rows))


def percent(effect: Effect | None, *, always: bool = False) -> str:
    """An interval of a relative change."""
    if effect is None:
        return _NOTHING
    low, high = (effect.always_low, effect.always_high) if always else (effect.low, effect.high)
    return f"{low:+.2%} to {high:+.2%}"


def p_text(p_value: float) -> str:
    """A p-value as people write it."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.4g}"
