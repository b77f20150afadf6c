"""A dataset report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from audotics.data.describe import DatasetReport
from audotics.errors import BadInputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .3rem .8rem; vertical-align: top; }
tr { border-bottom: 1px solid #ddd; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } h1 { margin-bottom: 0; } .quiet { color: #666; }
"""


def write_html(report: DatasetReport, path: Path) -> None:
    """Write the report as a page with its plots inside (without plots where matplotlib is not installed).

    Args:
        report: From `describe`.
        path: The file to write.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    figures = "".join(f"<h2>{html.escape(title)}</h2>{_image(figure)}" for title, figure in _figures(report))
    findings = "".join(f"<li>{html.escape(finding)}</li>" for finding in report.findings)
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>"
        for label, value in report.table()
    )
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(report.name)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(report.name)}</h1><p class='quiet'>fingerprint {report.fingerprint[:16]}</p>"
        f"<h2>Findings</h2><ul>{findings or '<li>Nothing to remark.</li>'}</ul>"
        f"<h2>Figures</h2><table>{rows}</table>"
        f"<h2>Import</h2>{_accounting(report)}{figures}</html>"
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"cannot write the page ({error.strerror})", where=str(path)) from error


def _accounting(report: DatasetReport) -> str:
    names = ("read", "accepted", "merged", "rejected", "left_out")
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{html.escape(table)}</td>"
        + "".join(f"<td class='n'>{getattr(counts, name):,}</td>" for name in names)
        + "</tr>"
        for table, counts in report.counts.items()
    )
    return f"<table><tr><th>table</th>{head}</tr>{rows}</table>"


def _figures(report: DatasetReport) -> list[tuple[str, Figure]]:
    if not len(report.events_per_listener):
        return []
    try:
        import matplotlib.figure  # noqa: F401  # the `report` extra; the page is complete without plots
    except ImportError:
        return []
    figures = [
        ("Events per listener", _histogram(report.events_per_listener, "events of a listener", "listeners")),
        ("Popularity of tracks", _ranks(report.events_per_track)),
    ]
    if not report.events_per_day.is_empty():
        figures.append(("Events per day", _days(report)))
    return figures


def _new_figure() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(8, 3.2), layout="constrained")


def _histogram(counts: npt.NDArray[np.int64], x: str, y: str) -> Figure:
    figure = _new_figure()
    axes = figure.subplots()
    axes.hist(counts, bins=np.geomspace(1, counts[-1] + 1, 40).tolist(), color="#3b6ea5")
    axes.set(xscale="log", xlabel=x, ylabel=y)
    return figure


def _ranks(counts: npt.NDArray[np.int64]) -> Figure:
    figure = _new_figure()
    axes = figure.subplots()
    axes.plot(np.arange(1, len(counts) + 1), counts[::-1], color="#3b6ea5")
    axes.set(xscale="log", yscale="log", xlabel="rank of the track", ylabel="events")
    return figure


def _days(report: DatasetReport) -> Figure:
    figure = _new_figure()
    axes = figure.subplots()
    axes.plot(report.events_per_day["day"].to_numpy(), report.events_per_day["events"], color="#3b6ea5")
    axes.set(ylabel="events", ylim=(0, None))
    return figure


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"<img alt='' src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
