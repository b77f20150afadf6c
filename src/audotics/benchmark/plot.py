"""A benchmark as one picture: quality with intervals, and what it cost. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from audotics.benchmark.report import BenchmarkReport
from audotics.errors import BadInputError, MissingExtraError
from audotics.evaluation.cells import metric_label
from audotics.evaluation.plots import ACCENT, OTHERS, STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")
"""Endings of files that a plot can be written to."""

_LEAST = 1e-2
"""Where a logarithmic scale begins, in seconds, MiB or lists per second."""


def check_plot_target(path: Path) -> None:
    """Refuse what `write_plot` could not do, before the work begins.

    Raises:
        BadInputError: The ending is unknown.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise BadInputError(
            f"cannot draw {path.suffix or 'a file without an ending'}",
            where=str(path),
            remedy=f"Use one of {', '.join(ENDINGS)}",
        )
    try:
        import matplotlib  # noqa: F401 - whether it is there is the question
    except ImportError as error:
        raise MissingExtraError("the plot of a benchmark", "report") from error


def write_plot(report: BenchmarkReport, path: Path, file_format: str) -> None:
    """Draw the report.

    Args:
        report: What to draw.
        path: Where to.
        file_format: ``png``, ``svg`` or ``pdf``.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(11.0, 1.6 + 0.34 * len(report.costs)))
        _draw(figure, report)
        figure.savefig(path, format=file_format, dpi=150)


def _draw(figure: Figure, report: BenchmarkReport) -> None:
    axes = figure.subplots(1, 4, sharey=True, width_ratios=(2, 1, 1, 1))
    names = [cost.name for cost in report.costs]
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    _quality(axes[0], report)
    learning = [cost.fit_s + (cost.tune_s or 0.0) for cost in report.costs]
    _costs(axes[1], "tuning and learning, s", learning)
    _costs(axes[2], "peak memory, MiB", [cost.peak_memory_mib for cost in report.costs])
    _costs(axes[3], f"top-{report.list_length} lists per s", [cost.listeners_per_s for cost in report.costs])
    for axis in axes:
        axis.tick_params(axis="y", length=0)


def _quality(axis: Axes, report: BenchmarkReport) -> None:
    metric = f"ndcg@{report.evaluation.test.headline}"
    for row, system in enumerate(report.evaluation.systems):
        found = system.metrics[metric]
        axis.plot([found.low, found.high], [row, row], color=_colour(row), linewidth=2)
        axis.plot([found.mean], [row], color=_colour(row), marker="o")
    axis.set_title(f"{metric_label(metric)}, 95 % interval")
    axis.grid(axis="x")


def _costs(axis: Axes, title: str, values: Sequence[float]) -> None:
    """Values that differ by orders of magnitude: points on a logarithmic scale, each with its number."""
    shown = [max(value, _LEAST) for value in values]
    axis.set_xscale("log")
    axis.set_xlim(min(shown) / 2, max(shown) * 30)  # room for the last number
    axis.set_xticks([])
    axis.minorticks_off()
    axis.spines["bottom"].set_visible(False)
    for row, (place, value) in enumerate(zip(shown, values, strict=True)):
        axis.plot([place], [row], color=_colour(row), marker="o")
        axis.annotate(
            f"{value:,.1f}" if value < 100 else f"{value:,.0f}",
            (place, row),
            xytext=(7, 0),
            textcoords="offset points",
            verticalalignment="center",
        )
    axis.set_title(title)


def _colour(row: int) -> str:
    return ACCENT if row == 0 else OTHERS[2]
