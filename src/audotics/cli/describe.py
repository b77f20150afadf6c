"""`audotics describe`: what is in a dataset, and what to know before training on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import JsonOption

if TYPE_CHECKING:
    from audotics.data.describe import DatasetReport

_Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="A folder made by import or simulate.")]
_Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("describe")(describe_dataset)


def describe_dataset(dataset: _Dataset, html: _Html = None, as_json: JsonOption = False) -> None:
    """Print sizes, shape of the listening, content coverage and findings about the quality of the data."""
    from audotics.data import Dataset
    from audotics.data.describe import describe

    report = describe(Dataset.open(dataset))
    if html is not None:
        from audotics.data.describe_page import write_html

        write_html(report, html)
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        _print_report(report)


def _print_report(report: DatasetReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(report.name), show_header=False, title_justify="left")
    for label, value in report.table():
        table.add_row(label, Text(value))
    Console().print(table)
    for finding in report.findings:
        print(f"- {finding}")
