"""The tables of a report as plain text cells, the same for terminal and page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audotics.evaluation.cells import (
    LABELS,
    ReportTable,
    difference_cells,
    mean_cell,
    metric_label,
    number_cell,
    p_cell,
    seconds_cell,
)
from audotics.evaluation.metrics import METRICS
from audotics.evaluation.newcomer_tables import newcomer_tables
from audotics.evaluation.report import EvaluationReport, SystemReport, Task
from audotics.evaluation.segments import Segment

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
    Task.FAMILIAR: "familiar (only tracks a listener had heard in training are test tracks)",
    Task.MIX: "mix (tracks a listener had heard in training count too)",
}


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
    if test.n_unheard_dropped:
        parts.append(
            f"{test.n_unheard_dropped:,} test tracks were left out because their listener had not heard them."
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
        _new_tracks(report),
        *([_repeats(report)] if report.test.task is Task.MIX else []),
        _segments(report),
        *newcomer_tables(report),
        _comparisons(report),
        _heads(report),
    )
    return tuple(table for table in tables if table.rows)


def _systems(report: EvaluationReport) -> ReportTable:
    at = f"@{report.test.headline}"
    return ReportTable(
        "Systems",
        f"Mean over listeners {at}; ± is half the width of the 95 % interval.",
        ("system", *(LABELS[name] for name in METRICS)),
        tuple(
            (
                system.name,
                *(mean_cell(system.metrics[name + at], wide=name in _WIDE) for name in METRICS),
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
                *(mean_cell(system.metrics[f"{name}@{cutoff}"]) for cutoff in report.test.cutoffs),
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
        cells = (number_cell(values.get(name + at)) for name in names)
        rows.append((system.name, *cells, f"{system.n_without_lists:,}", seconds_cell(system.seconds)))
    return ReportTable(
        "What the lists look like",
        f"Lists {at}. Coverage: share of the catalogue shown to anyone. Gini: 0 = every track shown "
        "equally often. Popularity lift: 0 = as popular as what the same listeners play.",
        ("system", *(LABELS[name] for name in names), "without list", "answered in"),
        tuple(rows),
    )


def _new_tracks(report: EvaluationReport) -> ReportTable:
    return _exposure(
        report,
        "new_track_share",
        (Segment.NEW_TRACKS, Segment.KNOWN_TRACKS),
        "Share of the places in the lists that go to tracks without any event in training; and what is found "
        "of such test tracks and of the others.",
    )


def _repeats(report: EvaluationReport) -> ReportTable:
    return _exposure(
        report,
        "repeat_share",
        (Segment.REPEATS, Segment.DISCOVERIES),
        "Share of the places in the lists that go to tracks their listener had heard in training; and what "
        "is found of such test tracks and of the others.",
    )


def _exposure(report: EvaluationReport, share: str, kinds: tuple[Segment, Segment], note: str) -> ReportTable:
    """How many places every system gives to the first kind of tracks, and what it finds of both kinds."""
    at, told = f"@{report.test.headline}", {found.segment for found in report.reference.segments}
    shown = [kind for kind in kinds if kind in told]
    return ReportTable(
        str(kinds[0]).capitalize(),
        note,
        ("system", LABELS[share], *(f"{metric_label('recall' + at)} of {kind}" for kind in shown)),
        tuple(
            (
                system.name,
                number_cell(system.catalogue.get(share + at)),
                *(_segment_cell(system, kind, "recall" + at) for kind in shown),
            )
            for system in report.systems
        ),
    )


def _segment_cell(system: SystemReport, kind: Segment, metric: str) -> str:
    for found in system.segments:
        if found.segment is kind:
            return mean_cell(found.metrics[metric])
    return number_cell(None)


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
                *(mean_cell(segment.metrics[name], wide=name.partition("@")[0] in _WIDE) for name in metrics),
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
                *difference_cells(found),
                *(p_cell(p) for p in (found.p_value, found.p_holm, found.t_test_p_value)),
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
        (label, *(number_cell(getattr(metrics, name)) for _, metrics in found))
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


def best_first(report: EvaluationReport, metric: str, n: int) -> Sequence[str]:
    """Names of the reference and of the ``n - 1`` best others by a metric, the reference first."""
    others: Iterable[str] = (
        system.name for system in sorted(report.systems[1:], key=lambda system: -system.metrics[metric].mean)
    )
    return [report.reference.name, *others][:n]
