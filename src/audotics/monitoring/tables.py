"""A monitoring report as tables, for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from audotics.evaluation.cells import ReportTable, p_cell
from audotics.evaluation.report_html import table_section, whole_page
from audotics.monitoring.rates import METRICS
from audotics.monitoring.report import ALL_RUNGS, GroupQuality, MonitorReport, QuantityDrift, Rate
from audotics.monitoring.verdicts import Verdict

_METRICS = tuple(metric.name for metric in METRICS)


def monitor_tables(report: MonitorReport) -> list[ReportTable]:
    """Every part of the report that has something to say."""
    tables = (
        _drift(report),
        _groups(report.quality.groups),
        _lifts(report),
        _drops(report),
        _days(report),
        _predictions(report),
    )
    return [table for table in tables if table.rows]


def headline(report: MonitorReport) -> list[str]:
    """The verdict, what was looked at, and every reason, one line each."""
    drift, since = report.drift, report.drift.since
    what = f"{drift.n_events:,} events of {drift.n_listeners:,} listeners, {drift.n_exposures:,} answers"
    return [
        f"{report.verdict}: version {report.version}",
        what if since is None else f"{what} since {since:%Y-%m-%d %H:%M} UTC",
        *([drift.note] if drift.note else []),
        *report.reasons,
    ]


def monitor_page(report: MonitorReport) -> str:
    """The report as one HTML page; every name in it is escaped."""
    first, *others = headline(report)
    lines = "".join(f"<div>{escape(line)}</div>\n" for line in others)
    head = (
        f"<header>\n<h1>{escape(first)}</h1>\n{lines}"
        f'<p class="note">{report.at:%Y-%m-%d %H:%M} UTC</p>\n</header>\n'
    )
    return whole_page("Monitoring", head + "".join(table_section(table) for table in monitor_tables(report)))


def _drift(report: MonitorReport) -> ReportTable:
    return ReportTable(
        title="Listening against training",
        note="PSI: population stability index, and what it would be by chance alone. KS: largest gap of the "
        "distribution functions. p is corrected for the number of rows.",
        columns=("quantity", "verdict", "PSI", "chance", "KS", "p", "events", "what moved most"),
        rows=tuple(_drift_row(one) for one in report.drift.quantities),
    )


def _drift_row(one: QuantityDrift) -> tuple[str, ...]:
    return (
        one.name,
        _mark(one.verdict),
        _number(one.psi, 3),
        _number(one.psi_by_chance, 3),
        _number(one.ks, 3),
        "-" if one.p_value is None else p_cell(one.p_value),
        f"{one.n:,}" if one.n else "-",
        # What moved most of what has hardly moved needs no second place.
        one.note if one.verdict.level > 0 else one.note.split(", ")[0],
    )


def _groups(groups: Sequence[GroupQuality]) -> ReportTable:
    return ReportTable(
        title="What listeners did with what they were shown",
        note="play: of the tracks shown; the others: of those played or skipped. 95 % intervals by listener.",
        columns=("version, variant, rung", "answers", "listeners", *_METRICS),
        rows=tuple(
            (
                " ".join((one.version, one.variant or "-", one.rung if one.rung != ALL_RUNGS else "all")),
                f"{one.n_answers:,}",
                f"{one.n_listeners:,}",
                *(_rate(one.rates[name]) for name in _METRICS),
            )
            for one in groups
        ),
    )


def _lifts(report: MonitorReport) -> ReportTable:
    return ReportTable(
        title="Against the holdout without personalisation",
        note="Difference of the rates in percentage points, positive where the variant is better.",
        columns=("version, variant", "metric", "difference", "95 % interval", "p"),
        rows=tuple(
            (
                f"{lift.version} {lift.variant or '-'}",
                lift.metric,
                f"{100 * lift.difference:+.2f}",
                f"{100 * lift.low:+.2f}..{100 * lift.high:+.2f}",
                p_cell(lift.p_value),
            )
            for lift in report.quality.lifts
        ),
    )


def _drops(report: MonitorReport) -> ReportTable:
    return ReportTable(
        title="The newest day against the days before",
        note="p is two-sided and judged at 1 % for all rows together: two false alarms a year at most.",
        columns=("rate", "verdict", "day", "before", "now", "p"),
        rows=tuple(
            (
                drop.metric,
                _mark(drop.verdict),
                str(drop.day),
                f"{drop.then:.1%}",
                f"{drop.now:.1%}",
                p_cell(drop.p_value),
            )
            for drop in report.quality.drops
        ),
    )


def _days(report: MonitorReport) -> ReportTable:
    return ReportTable(
        title="Quality by day",
        note="",
        columns=("day", "listeners", *_METRICS),
        rows=tuple(
            (str(one.day), f"{one.n_listeners:,}", *(_rate(one.rates[name]) for name in _METRICS))
            for one in report.quality.days
        ),
    )


def _predictions(report: MonitorReport) -> ReportTable:
    return ReportTable(
        title="Predictions of a play against what happened",
        note="Chances learned from the earlier half of each version's answers, judged on the later half; "
        "positive above the mean play rate.",
        columns=("version, variant", "tracks", "played", "accuracy", "precision", "recall", "F1"),
        rows=tuple(
            (
                f"{one.version} {one.variant or '-'}",
                f"{one.metrics.n:,}",
                f"{one.metrics.base_rate:.1%}",
                *(f"{getattr(one.metrics, name):.3f}" for name in ("accuracy", "precision", "recall", "f1")),
            )
            for one in report.predictions
        ),
    )


def _mark(verdict: Verdict) -> str:
    return verdict.upper() if verdict.level > 0 else str(verdict)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "-"
    if rate.low is None or rate.high is None:
        return f"{rate.value:.1%}"
    return f"{rate.value:.1%} ±{100 * (rate.high - rate.low) / 2:.1f}"
