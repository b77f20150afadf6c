"""The plots of a report as SVG text. Needs matplotlib; no global state of it is touched."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audotics.errors import MissingExtraError
from audotics.evaluation.cells import metric_label
from audotics.evaluation.heads import HeadMetrics
from audotics.evaluation.report import EvaluationReport
from audotics.evaluation.significance import Interval
from audotics.evaluation.tables import best_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT = "#0b6e69"
OTHERS = ("#e08e45", "#7a6fb0", "#8d99a6", "#b85c7a", "#5b8c5a")
INK, FAINT = "#24313d", "#d8dee4"
N_COMPARED = 4
"""How many systems the segment bars show."""

STYLE: Any = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.06,
    "font.size": 9.5,
    "grid.color": FAINT,
    "svg.hashsalt": "audotics",  # the same report draws the same bytes
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
}
"""What all plots look like, for ``matplotlib.rc_context``."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture.

    Args:
        title: Heading above it.
        description: What it shows, for those who cannot see it.
        svg: The picture.
    """

    title: str
    description: str
    svg: str


def report_plots(report: EvaluationReport) -> tuple[Plot, ...]:
    """Every plot that the report has data for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    at, height = f"@{report.test.headline}", 1.3 + 0.34 * len(report.systems)
    plots = [
        Plot(
            "Systems",
            f"NDCG{at} and recall{at} of each system with 95 % intervals",
            draw_svg(lambda figure: _metrics(figure, report), 9.5, height),
        ),
        Plot(
            "Segments",
            f"NDCG{at} by segment with 95 % intervals",
            draw_svg(lambda figure: _segments(figure, report), 9.5, 3.6),
        ),
        Plot(
            "Reach of the catalogue",
            f"Coverage{at} and Gini{at} of each system",
            draw_svg(lambda figure: _reach(figure, report), 9.5, height),
        ),
    ]
    if report.reference.heads:
        plots.append(_calibration_plot(report.reference.heads))
    if report.learning_curves:
        curves = report.learning_curves
        picture = draw_svg(lambda figure: _curves(figure, curves), 9.5, 3.0)
        plots.append(Plot("Learning curves", "Each series after each epoch", picture))
    return tuple(plots)


def _calibration_plot(heads: Mapping[str, HeadMetrics]) -> Plot:
    return Plot(
        "Calibration",
        "Predicted probability against the share that came true, for each head",
        draw_svg(lambda figure: _calibration(figure, heads), min(3.2 * len(heads), 12.8), 3.4),
    )


def draw_svg(paint: Callable[[Figure], None], width: float, height: float) -> str:
    """SVG text of a figure of the given size in inches."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("the HTML report", "report") from error
    buffer = io.StringIO()
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        paint(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _metrics(figure: Figure, report: EvaluationReport) -> None:
    axes = figure.subplots(1, 2, sharey=True)
    for axis, name in zip(axes, ("ndcg", "recall"), strict=True):
        metric = f"{name}@{report.test.headline}"
        for place, system in enumerate(report.systems):
            found = system.metrics[metric]
            colour = ACCENT if place == 0 else OTHERS[2]
            axis.errorbar(
                found.mean,
                place,
                xerr=_whiskers([found]),
                fmt="o",
                color=colour,
                capsize=3,
                markersize=6,
                clip_on=False,
            )
            axis.annotate(
                f"{found.mean:.4f}", (found.high, place), (6, -3), textcoords="offset points", color=INK
            )
        axis.set_title(metric_label(metric))
        axis.set_xlim(left=0, right=1.2 * max(system.metrics[metric].high for system in report.systems) or 1)
        axis.grid(axis="x")
    _name_rows(axes, report)


def _segments(figure: Figure, report: EvaluationReport) -> None:
    axis = figure.subplots()
    metric = f"ndcg@{report.test.headline}"
    names = best_first(report, metric, N_COMPARED)
    labels = [
        f"{part.segment}\n{part.n_listeners:,}".replace(" ", "\n", 1) for part in report.reference.segments
    ]
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        found = [part.metrics[metric] for part in report.system(name).segments]
        axis.bar(
            [x + (place - (len(names) - 1) / 2) * width for x in range(len(found))],
            [interval.mean for interval in found],
            width * 0.92,
            yerr=_whiskers(found),
            color=ACCENT if place == 0 else OTHERS[place - 1],
            ecolor=INK,
            error_kw={"elinewidth": 0.8, "capsize": 2},
            label=name,
        )
    axis.set_xticks(range(len(labels)), labels)
    axis.tick_params(axis="x", length=0)
    axis.set_title(f"{metric_label(metric)} by segment (listeners below)")
    axis.set_ylim(bottom=0)
    axis.grid(axis="y")
    axis.set_axisbelow(True)
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower left", ncols=len(names), frameon=False
    )


def _reach(figure: Figure, report: EvaluationReport) -> None:
    axes = figure.subplots(1, 2, sharey=True)
    for axis, name in zip(axes, ("coverage", "gini"), strict=True):
        metric = f"{name}@{report.test.headline}"
        values = [system.catalogue[metric] for system in report.systems]
        colours = [ACCENT] + [OTHERS[2]] * (len(values) - 1)
        bars = axis.barh(range(len(values)), values, 0.6, color=colours)
        axis.bar_label(bars, fmt="%.3f", padding=4, color=INK)
        axis.set_title(metric_label(metric))
        axis.set_xlim(0, 1.12)
        axis.grid(axis="x")
        axis.set_axisbelow(True)
    _name_rows(axes, report)


def _calibration(figure: Figure, heads: Mapping[str, HeadMetrics]) -> None:
    axes = figure.subplots(1, len(heads), sharey=True, squeeze=False)[0]
    for axis, (head, found) in zip(axes, heads.items(), strict=True):
        axis.plot([0, 1], [0, 1], color=OTHERS[2], linestyle=":", linewidth=1)
        centres = [(part.low + part.high) / 2 for part in found.bins]
        widths = [0.9 * (part.high - part.low) for part in found.bins]
        shares = [part.n / found.n for part in found.bins]
        axis.bar(centres, shares, widths, color=FAINT, label="share of predictions")
        axis.plot(
            [part.predicted for part in found.bins],
            [part.observed for part in found.bins],
            color=ACCENT,
            marker="o",
            markersize=4,
            label="came true",
        )
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="predicted")
        axis.set_title(f"{head} (error {found.calibration_error:.3f})")
    axes[0].set_ylabel("observed")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False)


def _curves(figure: Figure, curves: Mapping[str, Sequence[float | None]]) -> None:
    """Series whose names end in the same word ("train loss", "validation loss") share a panel."""
    panels: dict[str, list[str]] = {}
    for name in curves:
        panels.setdefault(name.rpartition(" ")[2], []).append(name)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (measure, names) in zip(axes, panels.items(), strict=True):
        for place, name in enumerate(names):
            epochs = range(1, len(curves[name]) + 1)
            colour = (ACCENT, *OTHERS)[place % (1 + len(OTHERS))]
            values = np.array(curves[name], np.float64)  # None becomes NaN, a gap in the line
            axis.plot(epochs, values, color=colour, marker="o", markersize=3, label=name)
        axis.set_title(metric_label(measure))
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid()
        axis.legend(frameon=False)


def _name_rows(axes: Sequence[Axes], report: EvaluationReport) -> None:
    """Systems from top to bottom on axes that share their rows."""
    axes[0].set_yticks(range(len(report.systems)), [system.name for system in report.systems])
    axes[0].set_ylim(len(report.systems) - 0.4, -0.6)
    for axis in axes:
        axis.tick_params(axis="y", length=0)


def _whiskers(intervals: Sequence[Interval]) -> list[list[float]]:
    """Distances below and above the means, as matplotlib wants them."""
    return [
        [max(found.mean - found.low, 0.0) for found in intervals],
        [max(found.high - found.mean, 0.0) for found in intervals],
    ]
