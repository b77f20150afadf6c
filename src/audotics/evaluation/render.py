"""An evaluation report on the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from audotics.evaluation.cells import ReportTable
from audotics.evaluation.report import EvaluationReport
from audotics.evaluation.tables import describe_test, report_tables


def report_panels(report: EvaluationReport) -> Group:
    """All tables of the report, to be printed by a rich console; made to fit 80 columns.

    Names are shown as they are: brackets in them are no markup.
    """
    return _panels(report, report_tables(report))


def report_summary(report: EvaluationReport) -> Group:
    """The first table alone, for those who want to know how good it is and go on."""
    return _panels(report, report_tables(report)[:1])


def _panels(report: EvaluationReport, tables: Sequence[ReportTable]) -> Group:
    return Group(Text(describe_test(report)), *(part for table in tables for part in table_parts(table)))


def table_parts(table: ReportTable) -> Iterator[RenderableType]:
    """A table with its title and note, to be printed by a rich console."""
    yield Text()
    yield Text(table.title, style="bold")
    yield _rich_table(table)
    if table.note:
        # Outside of the table: a caption would be folded to the table's width.
        yield Text(table.note, style="dim")


def _rich_table(table: ReportTable) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column(Text(table.columns[0]), overflow="fold")
    for column, *cells in zip(table.columns[1:], *(row[1:] for row in table.rows), strict=True):
        shown.add_column(Text(_folded(column, cells)), justify="right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _folded(heading: str, cells: Sequence[str]) -> str:
    """The heading in as many lines as keep the column as narrow as its cells and longest word."""
    width = max(len(text) for text in (*heading.split(), *cells))
    return "\n".join(textwrap.wrap(heading, width, break_long_words=False))
