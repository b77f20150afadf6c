"""The tables on new listeners."""

from __future__ import annotations

from collections.abc import Iterator

from audotics.evaluation.cells import ReportTable, difference_cells, mean_cell, metric_label, number_cell
from audotics.evaluation.report import EvaluationReport, NewcomerReport


def newcomer_tables(report: EvaluationReport) -> Iterator[ReportTable]:
    """The reference against popularity for each kind of newcomer; then the means of every system.

    Nothing where no newcomers were asked.
    """
    if not report.newcomers:
        return
    compared = report.newcomers[0].comparisons
    reference, metrics = compared[0].system, [found.metric for found in compared]
    yield ReportTable(
        f"{reference} for new listeners",
        "Listeners of the test asked again about tracks they had not heard, with only their last events "
        "known (some events where there is no order) or favourite artists; country and device stay. "
        f"The difference is in pairs, of {metric_label(metrics[0])}; * = below 5 % after Holm's correction.",
        ("known", "asked", *map(metric_label, metrics), "above popularity", "95 % interval"),
        tuple(_row(found, reference, metrics) for found in report.newcomers),
    )
    for metric in metrics:
        yield ReportTable(
            f"New listeners: {metric_label(metric)} of every system",
            "",
            ("system", *(str(found.newcomer) for found in report.newcomers)),
            tuple(
                (system, *(_mean(found, system, metric) for found in report.newcomers))
                for system in report.newcomers[0].systems
            ),
        )


def _row(found: NewcomerReport, reference: str, metrics: list[str]) -> tuple[str, ...]:
    means = found.systems[reference]
    return (
        str(found.newcomer),
        f"{found.n_listeners:,}",
        *(mean_cell(means[metric]) for metric in metrics),
        *difference_cells(found.comparisons[0]),
    )


def _mean(found: NewcomerReport, system: str, metric: str) -> str:
    told = found.systems.get(system, {}).get(metric)
    return number_cell(None if told is None else told.mean)
