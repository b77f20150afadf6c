"""The plots of an experiment's report. Needs matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.evaluation.plots import ACCENT, FAINT, INK, OTHERS, Plot, draw_svg
from audotics.experiments.effects import LOWER_IS_BETTER
from audotics.experiments.experiment_report import ExperimentReport, Look, metric_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def report_plots(report: ExperimentReport) -> tuple[Plot, ...]:
    """All plots that the report has numbers for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plots = []
    if any(one.adjusted_relative for one in report.comparisons):
        height = 1.2 + 0.42 * len(report.comparisons)
        plots.append(
            Plot(
                "Relative changes",
                "Change of every metric against the control with fixed and always-valid intervals",
                draw_svg(lambda figure: _changes(figure, report), 9.5, height),
            )
        )
    series = _series(report)
    if series:
        plots.append(
            Plot(
                "Day by day",
                "The difference in the primary metrics as it stood after each day",
                draw_svg(lambda figure: _days(figure, series), 9.5, 0.6 + 2.6 * len(series)),
            )
        )
    return tuple(plots)


def _series(report: ExperimentReport) -> dict[str, list[Look]]:
    """Looks that know something, by metric and treatment; of at least two days."""
    found: dict[str, list[Look]] = {}
    for look in report.looks:
        if look.effect is not None:
            found.setdefault(f"{metric_text(look.metric)}: {look.treatment}", []).append(look)
    return {name: looks for name, looks in found.items() if len(looks) > 1}


def _changes(figure: Figure, report: ExperimentReport) -> None:
    axis = figure.subplots()
    known = [one for one in report.comparisons if one.adjusted_relative is not None]
    for place, one in enumerate(known):
        effect = one.adjusted_relative
        if effect is None:
            continue
        gain = effect.value * (-1 if one.metric in LOWER_IS_BETTER else 1)
        sure = effect.always_low > 0 or effect.always_high < 0
        colour = OTHERS[2] if not sure else ACCENT if gain > 0 else OTHERS[3]
        always = [100 * effect.always_low, 100 * effect.always_high]
        axis.plot(always, [place] * 2, color=colour, linewidth=1.2)
        axis.plot([100 * effect.low, 100 * effect.high], [place] * 2, color=colour, linewidth=4.5, alpha=0.55)
        axis.plot(100 * effect.value, place, "o", color=colour, markersize=6)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(range(len(known)), [f"{metric_text(one.metric)}: {one.treatment}" for one in known])
    axis.set_ylim(len(known) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("change against the control, %  (thick: fixed interval, thin: always valid)")
    axis.set_title("Changes after CUPED")
    axis.grid(axis="x")


def _days(figure: Figure, series: dict[str, list[Look]]) -> None:
    axes = figure.subplots(len(series), 1, squeeze=False)[:, 0]
    for axis, (name, looks) in zip(axes, series.items(), strict=True):
        _course(axis, looks)
        axis.set_title(name)
    axes[-1].set_xlabel("day")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, frameon=False)


def _course(axis: Axes, looks: list[Look]) -> None:
    from matplotlib.ticker import MaxNLocator

    days = [look.day + 1 for look in looks]
    effects = [look.effect for look in looks if look.effect is not None]
    always = [one.always_low for one in effects], [one.always_high for one in effects]
    fixed = [one.low for one in effects], [one.high for one in effects]
    values = [one.value for one in effects]
    axis.fill_between(days, *always, color=FAINT, label="always valid", linewidth=0)
    axis.fill_between(days, *fixed, color=OTHERS[0], alpha=0.35, label="fixed horizon", linewidth=0)
    axis.plot(days, values, color=ACCENT, marker="o", markersize=3.5, label="difference")
    axis.axhline(0, color=INK, linewidth=0.8)
    # The first days' intervals would flatten all others.
    settled = min(2, len(effects) - 1)
    low, high = min(0.0, *always[0][settled:]), max(0.0, *always[1][settled:])
    axis.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")
