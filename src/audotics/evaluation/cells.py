"""What the tables of a report are made of: labels, and figures as people write them."""

from __future__ import annotations

from dataclasses import dataclass

from audotics.evaluation.report import Comparison
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
    "new_track_share": "new-track share",
    "repeat_share": "repeat share",
}
"""What people call the metrics."""


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


def metric_label(metric: str) -> str:
    """``"hit_rate@20"`` as people write it: ``"hit rate@20"``."""
    name, _, cutoff = metric.partition("@")
    label = LABELS.get(name, name)
    return f"{label}@{cutoff}" if cutoff else label


def mean_cell(interval: Interval, *, wide: bool = True) -> str:
    """A mean, and where there is room and a spread, half the width of its interval."""
    if not wide or interval.n < 2:  # one listener has no spread to tell of
        return f"{interval.mean:.4f}"
    return f"{interval.mean:.4f} ±{(interval.high - interval.low) / 2:.4f}"


def number_cell(value: float | None) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.4f}"


def p_cell(p: float) -> str:
    """A p-value, never as 0."""
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"


def seconds_cell(seconds: float | None) -> str:
    """A duration, or a dash where nothing was timed."""
    return "-" if seconds is None else f"{seconds:.1f} s"


def difference_cells(found: Comparison) -> tuple[str, str]:
    """A paired difference, marked where it is significant, and its interval."""
    mark = "*" if found.significant else ""
    return f"{found.difference:+.4f}{mark}", f"{found.low:+.4f}..{found.high:+.4f}"
