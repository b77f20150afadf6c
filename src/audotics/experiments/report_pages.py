"""An experiment's report on the terminal and as a page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from audotics.evaluation.report_html import plot_section, table_section, whole_page
from audotics.experiments.experiment_report import ExperimentReport
from audotics.experiments.report_plots import report_plots
from audotics.experiments.report_tables import description, headline, report_tables

if TYPE_CHECKING:
    from rich.console import Group


def experiment_panels(report: ExperimentReport) -> Group:
    """All tables, to be printed by a rich console; names in them are no markup."""
    from rich.console import Group
    from rich.text import Text

    from audotics.evaluation.render import table_parts

    return Group(
        Text(f"Experiment {report.name}", style="bold"),
        Text(description(report)),
        Text(headline(report)),
        *(part for table in report_tables(report) for part in table_parts(table)),
    )


def experiment_page(report: ExperimentReport) -> str:
    """One page with tables and plots that needs nothing else; every name in it is escaped.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    title = f"Experiment {report.name}"
    header = (
        f"<header>\n<h1>{escape(title)}</h1>\n<div>{escape(headline(report))}</div>\n"
        f'<p class="note">{escape(description(report))}; written {report.created_at:%Y-%m-%d %H:%M} UTC</p>\n'
        "</header>\n"
    )
    plots = "".join(plot_section(plot) for plot in report_plots(report))
    tables = "".join(table_section(table) for table in report_tables(report))
    return whole_page(title, header + plots + tables)
