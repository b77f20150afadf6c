"""An evaluation report on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from audotics.evaluation.report import EvaluationReport
from audotics.evaluation.tables import ReportTable, describe_test, report_tables


def report_panels(report: EvaluationReport) -> Group:
    """All tables of the report, to be printed by a rich console.

    Names are shown as they are: brackets in them are no markup.
    """
    tables = [_rich_table(table) for table in report_tables(report)]
    return Group(Text(describe_test(report)), Text(), *tables)


def _rich_table(table: ReportTable) -> Table:
    shown = Table(
        title=Text(table.title, style="bold"),
        caption=Text(table.note) if table.note else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    shown.add_column(Text(table.columns[0]), overflow="fold")
    for column in table.columns[1:]:
        shown.add_column(Text(column), justify="right")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown
