"""`audotics import`: files of any supported format into a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import (
    EngineOption,
    JsonOption,
    MapOption,
    QuietOption,
    RayWorkersOption,
    parse_map,
    ray_workers,
)

if TYPE_CHECKING:
    from audotics.data import ImportReport

_Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="A file of events, or the folder of a public set.")
]
_Format = Annotated[
    str, typer.Option("--format", help="auto, csv (also tsv), parquet, jsonl, or the name of a set.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="DATASET", help="The dataset folder to make.")]
_MaxRejects = Annotated[
    float,
    typer.Option("--max-rejects", min=0.0, max=1.0, help="Share of unusable rows that stops the import."),
]


def _file_option(name: str, what: str) -> object:
    return typer.Option(name, metavar="FILE", help=what, show_default=False)


_Events = Annotated[
    Path | None, _file_option("--events", "Events instead of those of SOURCE, whose content is kept.")
]
_Tracks = Annotated[Path | None, _file_option("--tracks", "Add or replace the tracks table.")]
_Users = Annotated[Path | None, _file_option("--users", "Add or replace the users table.")]
_Playlists = Annotated[Path | None, _file_option("--playlists", "Add or replace the playlists table.")]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("import")(import_files)


def import_files(
    source: _Source,
    out: _Out,
    format: _Format = "auto",
    events: _Events = None,
    tracks: _Tracks = None,
    users: _Users = None,
    playlists: _Playlists = None,
    column_map: MapOption = None,
    max_rejects: _MaxRejects = 0.01,
    engine: EngineOption = "local",
    workers: RayWorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Read listening events and catalogues into a verified dataset.

    Every row is accepted, merged with an equal row, or kept in rejects.parquet with the reason.
    Above --max-rejects nothing is written and the exit code is 2.
    """
    from audotics.data import import_dataset
    from audotics.telemetry import progress_on_stderr

    report = import_dataset(
        source,
        format,
        out,
        events=events,
        tracks=tracks,
        users=users,
        playlists=playlists,
        column_map=parse_map(column_map or []),
        max_rejects=max_rejects,
        progress=progress_on_stderr(quiet=quiet),
        workers=ray_workers(engine, workers),
    )
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
    elif not quiet:
        _print_report(report)


def _print_report(report: ImportReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("table", *("read", "accepted", "merged", "rejected", "left out"))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, counts in report.counts.items():
        values = (counts.read, counts.accepted, counts.merged, counts.rejected, counts.left_out)
        table.add_row(name, *(f"{value:,}" for value in values))
    Console().print(table)
    for note in report.notes:
        print(note)
    for reject in report.rejects.iter_rows(named=True):
        text = f"rejected {reject['file']}:{reject['line']} {reject['column']} {reject['value'][:60]!r}"
        print(f"{text}: {reject['reason']}")
    rows = ", ".join(f"{rows:,} {name}" for name, rows in report.dataset.manifest.rows.items())
    print(f"{report.dataset.path} ({report.format}): {rows}")
