"""An evaluation report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from audotics.evaluation.cells import ReportTable, metric_label
from audotics.evaluation.plots import Plot, report_plots
from audotics.evaluation.report import EvaluationReport
from audotics.evaluation.tables import describe_test, report_tables

_STYLE = """
:root { color: #24313d; background: #f4f6f8; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin: 0 0 .3rem; font-size: 1.6rem; } h2 { margin: 0 0 .6rem; font-size: 1.1rem; }
section, header { background: #fff; border: 1px solid #d8dee4; border-radius: 8px; margin: 0 0 1.2rem;
  padding: 1.1rem 1.3rem; overflow-x: auto; }
.figures { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1rem; }
.figure { border-left: 3px solid #0b6e69; padding: .1rem .7rem; }
.figure b { display: block; font-size: 1.5rem; line-height: 1.2; } .figure span, .note { color: #5d6b78; }
.figure span { font-size: .9rem; }
.note { font-size: .88rem; margin: .6rem 0 0; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #e8ecf0; }
td { white-space: nowrap; } th { vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #c4ccd4; }
"""


def write_html(report: EvaluationReport, path: Path, *, title: str = "Evaluation") -> None:
    """Write the report with its plots as one page: no scripts, nothing loaded from elsewhere.

    Args:
        report: What to show.
        path: The file to write.
        title: Heading of the page.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    path.write_text(report_page(report, title), encoding="utf-8")


def report_page(report: EvaluationReport, title: str) -> str:
    """The page as text; every name in it is escaped.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    body = "".join(
        [
            _header(report, title),
            *(plot_section(plot) for plot in report_plots(report)),
            *(table_section(table) for table in report_tables(report)),
        ]
    )
    return whole_page(title, body)


def whole_page(title: str, body: str) -> str:
    """A page round sections that are HTML already: no scripts, nothing loaded from elsewhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _header(report: EvaluationReport, title: str) -> str:
    reference, at = report.reference, f"@{report.test.headline}"
    figures = []
    for name in ("ndcg", "recall", "hit_rate", "mrr"):
        found = reference.metrics[name + at]
        figures.append(
            f'<div class="figure"><b>{found.mean:.4f}</b>'
            f"<span>{escape(metric_label(name + at))} [{found.low:.4f}, {found.high:.4f}]</span></div>\n"
        )
    return (
        f"<header>\n<h1>{escape(title)}: {escape(reference.name)}</h1>\n"
        f"<div>{escape(describe_test(report))}</div>\n"
        f'<div class="figures">\n{"".join(figures)}</div>\n'
        f'<p class="note">{report.created_at:%Y-%m-%d %H:%M} UTC</p>\n</header>\n'
    )


def plot_section(plot: Plot) -> str:
    """A picture with its heading as HTML."""
    # As an image the picture can neither run a script nor clash with the ids of another one.
    encoded = base64.b64encode(plot.svg.encode()).decode()
    return (
        f"<section>\n<h2>{escape(plot.title)}</h2>\n"
        f'<img alt="{escape(plot.description)}" src="data:image/svg+xml;base64,{encoded}">\n</section>\n'
    )


def table_section(table: ReportTable) -> str:
    """A table with its title and note as HTML; every text in it is escaped."""
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>\n' if table.note else ""
    return (
        f"<section>\n<h2>{escape(table.title)}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}</tbody>\n</table>\n{note}</section>\n"
    )
