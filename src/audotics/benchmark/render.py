"""A benchmark on the terminal: quality, differences and cost, made to fit 80 columns."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from audotics.benchmark.report import BenchmarkReport
from audotics.evaluation.cells import ReportTable, metric_label
from audotics.evaluation.render import table_parts
from audotics.evaluation.significance import Interval
from audotics.evaluation.tables import describe_test


def benchmark_panels(report: BenchmarkReport) -> Group:
    """All tables and what they hold under, to be printed by a rich console."""
    tables = [table for table in (_quality(report), _differences(report), _cost(report)) if table.rows]
    notes = [f"{cost.name}: {cost.note}" for cost in report.costs if cost.note]
    notes += [f"{name} left out: {reason}" for name, reason in report.left_out.items()]
    return Group(
        Text(f"Test: {report.split}. {describe_test(report.evaluation)}"),
        *(part for table in tables for part in table_parts(table)),
        Text(),
        Text(describe_conditions(report)),
        *(Text(note) for note in notes),
    )


def describe_conditions(report: BenchmarkReport) -> str:
    """One paragraph on budget and machine."""
    conditions, machine = report.conditions, report.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    threads, cores = _counted(conditions.threads, "thread"), _counted(machine.cores, "core")
    return (
        f"Each peer tried at most {conditions.trials:,} settings in {conditions.seconds:,.0f} s on a "
        f"validation part of training ({report.validation}), then was fitted on all of it. "
        f"{threads} each, on {machine.processor}, {cores}, {machine.memory_gib:.0f} GiB. {versions}."
    )


def _quality(report: BenchmarkReport) -> ReportTable:
    at = report.evaluation.test.headline
    metrics = [f"ndcg@{at}", f"recall@{at}", f"recall@{report.evaluation.test.cutoffs[-1]}"]
    rows = [
        (
            system.name,
            *(_interval(system.metrics[metric], wide=metric == metrics[0]) for metric in metrics),
            f"{system.catalogue[f'coverage@{at}']:.4f}",
        )
        for system in report.evaluation.systems
    ]
    rows += [(name, "failed", "-", "-", "-") for name in report.failed]
    failures = " ".join(f"{name} failed: {reason}." for name, reason in report.failed.items())
    return ReportTable(
        "Quality",
        f"± is half the width of the 95 % interval over listeners. {failures}".rstrip(),
        ("system", *(metric_label(metric) for metric in metrics), f"coverage@{at}"),
        tuple(rows),
    )


def _differences(report: BenchmarkReport) -> ReportTable:
    evaluation = report.evaluation
    metric = f"ndcg@{evaluation.test.headline}"
    found = [comparison for comparison in evaluation.comparisons if comparison.metric == metric]
    means = {system.name: system.metrics[metric].mean for system in evaluation.systems}
    return ReportTable(
        f"{evaluation.reference.name} minus each, {metric_label(metric)}",
        "In pairs, listener by listener; bootstrap p-values, with Holm's correction for their number. "
        "* = below 5 % after correction.",
        ("system", "difference", "relative", "95 % interval", "p", "p (Holm)"),
        tuple(
            (
                pair.baseline,
                f"{pair.difference:+.4f}{'*' if pair.significant else ''}",
                _relative(pair.difference, means[pair.baseline]),
                f"{pair.low:+.4f}..{pair.high:+.4f}",
                _p_value(pair.p_value),
                _p_value(pair.p_holm),
            )
            for pair in found
        ),
    )


def _cost(report: BenchmarkReport) -> ReportTable:
    return ReportTable(
        "Cost",
        f"Learning: the final fit (ours: the whole training). Lists: top {report.list_length} for all "
        f"{report.n_listeners:,} training listeners. Each system in processes of its own.",
        ("system", "library", "settings tried", "tuning s", "learning s", "peak MiB", "lists per s"),
        tuple(
            (
                cost.name,
                cost.library or "-",
                f"{cost.n_trials}" if cost.n_trials else "-",
                "-" if cost.tune_s is None else f"{cost.tune_s:.1f}",
                f"{cost.fit_s:.1f}",
                f"{cost.peak_memory_mib:,.0f}",
                f"{cost.listeners_per_s:,.0f}",
            )
            for cost in report.costs
        ),
    )


def _interval(interval: Interval, *, wide: bool) -> str:
    if not wide:
        return f"{interval.mean:.4f}"
    return f"{interval.mean:.4f} ±{(interval.high - interval.low) / 2:.4f}"


def _relative(difference: float, baseline: float) -> str:
    return f"{difference / baseline:+.1%}" if baseline > 0 else "-"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"
