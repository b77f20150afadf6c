"""`audotics monitor`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audotics.cli.options import JsonOption, ModelsOption, VersionOption
from audotics.errors import BadInputError
from audotics.registry.names import CHAMPION

if TYPE_CHECKING:
    from audotics.monitoring.report import MonitorReport

REFUSED = 3

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(monitor)


def monitor(
    models: ModelsOption,
    version: VersionOption = CHAMPION,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The event log; else AUDOTICS_DATABASE_URL.", show_default=False),
    ] = None,
    since: Annotated[
        str,
        typer.Option(metavar="SPAN", help="How far back to look, in minutes, hours or days: 90m, 12h, 7d."),
    ] = "7d",
    window: Annotated[
        str, typer.Option(metavar="SPAN", help="How long a track shown may be answered for.")
    ] = "6h",
    most: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Only the newest N events and answers together.", show_default=False
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page, too.")
    ] = None,
    fail_on: Annotated[
        Literal["alarm", "shifted", "never"], typer.Option("--fail-on", help="What ends in exit code 3.")
    ] = "alarm",
    as_json: JsonOption = False,
) -> None:
    """Show whether listening and what listeners make of the answers are still as they were.

    Drift: contexts, tracks, popularity, scores and the share of unknown listeners and tracks, against what
    the version was trained on. Quality: plays, completions, likes and skips of what was recommended, by
    version and variant, against the holdout, and the newest day against the two weeks before it. Exit code
    3 where an alarm stands.
    """
    from audotics.cli.output import check_target
    from audotics.journal.engine import open_engine
    from audotics.monitoring.monitor import monitor as look
    from audotics.registry import Registry
    from audotics.settings import read_settings

    spans = span("--since", since), span("--window", window)
    if html is not None:
        check_target(html)
    url = database or read_settings().database_url.get_secret_value()
    engine = open_engine(url)
    try:
        report = look(
            Registry(models), engine, version=version, since=spans[0], window=spans[1], most_rows=most
        )
    finally:
        engine.dispose()
    _show(report, html, as_json=as_json)
    limit = {"shifted": 1, "alarm": 2}.get(fail_on)
    if limit is not None and report.verdict.level >= limit:
        raise typer.Exit(REFUSED)


def span(option: str, text: str) -> timedelta:
    """A span of time as options write it.

    Raises:
        BadInputError: It is none, or is nothing.
    """
    found = _SPAN.fullmatch(text.strip())
    length = timedelta(0)
    if found:
        try:
            length = float(found[1]) * _UNITS[found[2]]
        except OverflowError:
            length = timedelta(0)
    if not timedelta(0) < length < timedelta(days=36_500):
        raise BadInputError(f"{text!r} is no span of time", where=option, remedy="Write 90m, 12h or 7d")
    return length


def _show(report: MonitorReport, html: Path | None, *, as_json: bool) -> None:
    from audotics.cli.output import replacing
    from audotics.monitoring.tables import headline, monitor_page, monitor_tables

    if html is not None:
        with replacing(html) as part:
            part.write_text(monitor_page(report), encoding="utf-8")
    if as_json:
        print(report.model_dump_json(indent=2))
        return
    from rich.console import Console

    from audotics.evaluation.render import table_parts

    # Wide: a report is read beside others, in logs as well, and folded rows are hard to compare.
    console = Console(width=140, highlight=False)
    for line in headline(report):
        console.print(line, markup=False)
    for table in monitor_tables(report):
        console.print(*table_parts(table), sep="\n")
