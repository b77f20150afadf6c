"""`audotics evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audotics.cli.options import (
    MapOption,
    ModelsOption,
    QuietOption,
    VersionOption,
    parse_map,
    wanted_mode,
)
from audotics.registry.names import CHAMPION

if TYPE_CHECKING:
    import polars as pl

    from audotics.data.dataset import Dataset
    from audotics.evaluation.report import EvaluationReport, Task
    from audotics.registry import Registry
    from audotics.telemetry import Progress

_Dataset = Annotated[Path, typer.Argument(help="The Dataset that was trained on.", show_default=False)]
_Test = Annotated[
    Path | None,
    typer.Option("--test", metavar="FILE", help="Held-out user_id and track_id.", show_default=False),
]
_Baselines = Annotated[
    bool,
    typer.Option("--baselines", help="With --test: every single retriever and popularity beside it."),
]
_Mode = Annotated[
    Literal["mix", "discover", "familiar"] | None,
    typer.Option(
        "--mode",
        help="With --test: discover asks for tracks that were not heard in training (the default), "
        "familiar for heard ones, mix for both.",
        show_default=False,
    ),
]
_IncludeHeard = Annotated[bool, typer.Option("--include-heard", help="The same as --mode mix.")]
_JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the report.", show_default=False)
]
_Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report as a page.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)


def evaluate(
    dataset: _Dataset,
    models: ModelsOption,
    model: VersionOption = CHAMPION,
    test: _Test = None,
    column_map: MapOption = None,
    baselines: _Baselines = False,
    mode: _Mode = None,
    include_heard: _IncludeHeard = False,
    json_file: _JsonFile = None,
    html: _Html = None,
    quiet: QuietOption = False,
) -> None:
    """Measure a version: full ranking, intervals over listeners, paired tests.

    Without --test: on the listeners that judged the training, by models that had not seen what was
    held out from them. Every report has a part for new listeners: the same ones, asked again with
    little or nothing known of them.
    """
    from rich.console import Console

    from audotics.cli import output
    from audotics.data.heldout import read_held_out
    from audotics.evaluation import Task, report_panels
    from audotics.telemetry import progress_on_stderr

    for target in filter(None, (json_file, html)):
        output.check_target(target)
    progress = progress_on_stderr(quiet=quiet)
    if test is None:
        _refuse_options_of_a_test(baselines, mode, include_heard, column_map)
        report = _held_out(dataset, models, model)
    else:
        task = Task(wanted_mode(mode, include_heard))
        pairs = read_held_out(test, parse_map(column_map or ()))
        report = _on_test(dataset, models, model, pairs, baselines, task, progress)
    Console().print(report_panels(report))
    _note_strangers(report)
    _write_files(report, json_file, html)


def _write_files(report: EvaluationReport, json_file: Path | None, html: Path | None) -> None:
    from audotics.cli import output
    from audotics.evaluation import write_html

    if json_file is not None:
        with output.replacing(json_file) as part:
            report.to_json(part)
    if html is not None:
        with output.replacing(html) as part:
            write_html(report, part)


def _note_strangers(report: EvaluationReport) -> None:
    from audotics.cli import output

    if report.test.n_cold_listeners == report.test.n_listeners:
        output.note("no listener of the test is known to the model; are their ids those of the training?")
    if report.test.n_unknown_pairs == report.test.n_pairs:
        output.note("no track of the test is known to the model; are their ids those of the training?")


def _open_trained_on(dataset: Path, registry: Registry, model: str) -> Dataset:
    """The Dataset, if it is the one that the version was trained on: any other may hold the answers."""
    from audotics.data.dataset import Dataset
    from audotics.errors import BadInputError

    opened = Dataset.open(dataset)
    if opened.manifest.fingerprint != registry.show(model).dataset.fingerprint:
        raise BadInputError(
            "this is not the Dataset that the version was trained on",
            where=str(dataset),
            remedy="Give that Dataset; `audotics models show` tells its fingerprint",
        )
    return opened


def _refuse_options_of_a_test(
    baselines: bool, mode: str | None, include_heard: bool, column_map: list[str] | None
) -> None:
    from audotics.errors import BadInputError

    if mode is not None or include_heard:
        raise BadInputError(
            "what training held out is measured as it was trained for",
            where="--include-heard" if include_heard else "--mode",
            remedy="Train with --include-heard, or give --test FILE",
        )
    for option, is_given in (("--baselines", baselines), ("--map", column_map)):
        if is_given:
            raise BadInputError(
                "this belongs to a test file; the report of training has its baselines already",
                where=option,
                remedy="Leave it out, or give --test FILE",
            )


def _held_out(dataset: Path, models: Path, model: str) -> EvaluationReport:
    from audotics.registry import Registry
    from audotics.training.publishing import load_report

    registry = Registry(models)
    _open_trained_on(dataset, registry, model)
    return load_report(registry, model)


def _on_test(
    dataset: Path,
    models: Path,
    model: str,
    pairs: pl.DataFrame,
    baselines: bool,
    task: Task,
    progress: Progress,
) -> EvaluationReport:
    from audotics.registry import Registry
    from audotics.training.assessment import assess
    from audotics.training.publishing import load_version

    registry = Registry(models)
    opened = _open_trained_on(dataset, registry, model)
    with progress.stage("load the model"):
        recommender = load_version(registry, model)
    return assess(recommender, opened, pairs, baselines=baselines, task=task, progress=progress)
