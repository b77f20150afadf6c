"""The tables of a report as plain text cells, the same for terminal and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audotics.evaluation.metrics import METRICS
from audotics.evaluation.report import EvaluationReport, Task
from audotics.evaluation.significance import Interval

LABELS = {
    "ndcg": "NDCG",
    "recall": "recall",
    "precision": "precision",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "hit rate",
    "coverage": "coverage",
    "gini": "Gini",
    "novelty": "novelty (bits)",
    "diversity": "diversity",
    "popularity_lift": "popularity lift",
}
"""What people call the metrics."""

_WIDE = ("ndcg", "recall")
"""Metrics shown with their interval where several share a row: all of them need more than 80 columns."""

_HEAD_LABELS = {
    "base_rate": "base rate",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "ROC-AUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}

_ABOUT_TASKS = {
    Task.DISCOVER: "discover (tracks a listener had heard in training are no test tracks)",
    Task.INCLUDE_HEARD: "include heard (tracks a listener had heard in training count too)",
}


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table.

    Args:
        title: What it shows.
        note: How to read it; may be empty.
        columns: Headings; the first column names the row, the others are numbers.
        rows: Cells, as many per row as there are columns.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def describe_test(report: EvaluationReport) -> str:
    """One paragraph on what was evaluated on."""
    test = report.test
    parts = [
        f"Task: {_ABOUT_TASKS[test.task]}.",
        f"{test.n_listeners:,} listeners ({test.n_cold_listeners:,} cold) with {test.n_pairs:,} test tracks,",
        f"{test.n_unknown_pairs:,} of them outside training's vocabulary;",
        f"full ranking over {test.n_tracks:,} tracks.",
    ]
    if test.n_heard_dropped:
        parts.append(
            f"{test.n_heard_dropped:,} test tracks were left out because their listener had heard them."
        )
    parts.append(
        f"Intervals are 95 % over listeners ({test.n_resamples:,} bootstrap resamples, seed {test.seed})."
    )
    return " ".join(parts)


def report_tables(report: EvaluationReport) -> tuple[ReportTable, ...]:
    """Every table that the report has something for."""
    tables = (
        _systems(report),
        _cutoffs(report),
        _lists(report),
        _segments(report),
        _comparisons(report),
        _heads(report),
    )
    return tuple(table for table in tables if table.rows)


def metric_label(metric: str) -> str:
    """``"hit_rate@20"`` as people write it: ``"hit rate@20"``."""
    name, _, cutoff = metric.partition("@")
    label = LABELS.get(name, name)
    return f"{label}@{cutoff}" if cutoff else label


def _systems(report: EvaluationReport) -> ReportTable:
    at = f"@{report.test.headline}"
    return ReportTable(
        "Systems",
        f"Mean over listeners {at}; ± is half the width of the 95 % interval.",
        ("system", *(LABELS[name] for name in METRICS)),
        tuple(
            (
                system.name,
                *(_interval(system.metrics[name + at], wide=name in _WIDE) for name in METRICS),
            )
            for system in report.systems
        ),
    )


def _cutoffs(report: EvaluationReport) -> ReportTable:
    system = report.reference
    return ReportTable(
        f"{system.name} at every cutoff",
        "",
        ("metric", *(f"@{cutoff}" for cutoff in report.test.cutoffs)),
        tuple(
            (
                LABELS[name],
                *(_interval(system.metrics[f"{name}@{cutoff}"]) for cutoff in report.test.cutoffs),
            )
            for name in METRICS
        ),
    )


def _lists(report: EvaluationReport) -> ReportTable:
    at = f"@{report.test.headline}"
    names = ("coverage", "gini", "popularity_lift", "novelty", "diversity")
    rows = []
    for system in report.systems:
        values = dict(system.catalogue) | {name: interval.mean for name, interval in system.metrics.items()}
        cells = (_number(values.get(name + at)) for name in names)
        rows.append((system.name, *cells, f"{system.n_without_lists:,}", _seconds(system.seconds)))
    return ReportTable(
        "What the lists look like",
        f"Lists {at}. Coverage: share of the catalogue shown to anyone. Gini: 0 = every track shown "
        "equally often. Popularity lift: 0 = as popular as what the same listeners play.",
        ("system", *(LABELS[name] for name in names), "without list", "answered in"),
        tuple(rows),
    )


def _segments(report: EvaluationReport) -> ReportTable:
    reference = report.reference
    metrics = list(reference.segments[0].metrics) if reference.segments else []
    return ReportTable(
        f"{reference.name} by segment",
        "Listeners by what training knows of them; test tracks by kind, counting those of the kind alone.",
        ("segment", "listeners", "test tracks", *(metric_label(name) for name in metrics)),
        tuple(
            (
                str(segment.segment),
                f"{segment.n_listeners:,}",
                f"{segment.n_pairs:,}",
                *(_interval(segment.metrics[name], wide=name.partition("@")[0] in _WIDE) for name in metrics),
            )
            for segment in reference.segments
        ),
    )


def _comparisons(report: EvaluationReport) -> ReportTable:
    return ReportTable(
        f"{report.reference.name} against the baselines",
        "Difference in pairs, listener by listener; p-values of the bootstrap, with Holm's correction, "
        "and of the paired t-test as a cross-check. * = below 5 % after correction.",
        ("baseline", "metric", "difference", "95 % interval", "p", "p (Holm)", "p (t-test)"),
        tuple(
            (
                found.baseline,
                metric_label(found.metric),
                f"{found.difference:+.4f}{'*' if found.significant else ''}",
                f"{found.low:+.4f}..{found.high:+.4f}",
                *(_p_value(p) for p in (found.p_value, found.p_holm, found.t_test_p_value)),
            )
            for found in report.comparisons
        ),
    )


def _heads(report: EvaluationReport) -> ReportTable:
    found = [
        (_qualified(head, system.name, report), metrics)
        for system in report.systems
        for head, metrics in system.heads.items()
    ]
    rows = [("outcomes", *(f"{metrics.n:,}" for _, metrics in found))]
    rows += [
        (label, *(_number(getattr(metrics, name)) for _, metrics in found))
        for name, label in _HEAD_LABELS.items()
    ]
    return ReportTable(
        "Predicted probabilities",
        "Each head of the ranker on outcomes it was not trained on.",
        ("metric", *(head for head, _ in found)),
        tuple(rows) if found else (),
    )


def _qualified(head: str, system: str, report: EvaluationReport) -> str:
    return head if system == report.reference.name else f"{head} ({system})"


def _interval(interval: Interval, *, wide: bool = True) -> str:
    if not wide or interval.n < 2:  # one listener has no spread to tell of
        return f"{interval.mean:.4f}"
    return f"{interval.mean:.4f} ±{(interval.high - interval.low) / 2:.4f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def best_first(report: EvaluationReport, metric: str, n: int) -> Sequence[str]:
    """Names of the reference and of the ``n - 1`` best others by a metric, the reference first."""
    others: Iterable[str] = (
        system.name for system in sorted(report.systems[1:], key=lambda system: -system.metrics[metric].mean)
    )
    return [report.reference.name, *others][:n]
