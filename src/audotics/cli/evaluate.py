"""`audotics evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import ModelsOption, QuietOption

if TYPE_CHECKING:
    from audotics.evaluation.report import EvaluationReport
    from audotics.telemetry import Progress


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="The Dataset that was trained on.", show_default=False)],
    models: ModelsOption,
    model: Annotated[str, typer.Option(help="A version, an alias or 'latest'.")] = "champion",
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Held-out user_id and track_id.", show_default=False),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Every single retriever and popularity beside it.")
    ] = False,
    include_heard: Annotated[
        bool, typer.Option("--include-heard", help="Test tracks heard in training count, too.")
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the report.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as a page.", show_default=False)
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Measure a version: full ranking, intervals over listeners, paired tests.

    Without --test: on the listeners that judged the training, by models that had not seen what was
    held out from them.
    """
    from rich.console import Console

    from audotics.evaluation import report_panels, write_html
    from audotics.telemetry import progress_on_stderr

    progress = progress_on_stderr(quiet=quiet)
    if test is None:
        report = _held_out(dataset, models, model)
    else:
        report = _on_test(dataset, models, model, test, baselines, include_heard, progress)
    if json_file is not None:
        report.to_json(json_file)
    if html is not None:
        write_html(report, html)
    Console().print(report_panels(report))


def _held_out(dataset: Path, models: Path, model: str) -> EvaluationReport:
    from audotics.data.dataset import Dataset
    from audotics.errors import BadInputError
    from audotics.registry import Registry
    from audotics.training.publishing import load_report

    registry = Registry(models)
    trained_on = registry.show(model).dataset.fingerprint
    if Dataset.open(dataset).manifest.fingerprint != trained_on:
        raise BadInputError(
            "this is not the Dataset that the version was trained on",
            where=str(dataset),
            remedy="Give that Dataset, or measure on held-out events with --test FILE",
        )
    return load_report(registry, model)


def _on_test(
    dataset: Path,
    models: Path,
    model: str,
    test: Path,
    baselines: bool,
    include_heard: bool,
    progress: Progress,
) -> EvaluationReport:
    from audotics.data.dataset import Dataset
    from audotics.data.heldout import read_held_out
    from audotics.registry import Registry
    from audotics.training.assessment import assess
    from audotics.training.publishing import load_version

    pairs = read_held_out(test)
    opened = Dataset.open(dataset)
    with progress.stage("load the model"):
        recommender = load_version(Registry(models), model)
    return assess(
        recommender, opened, pairs, baselines=baselines, include_heard=include_heard, progress=progress
    )
