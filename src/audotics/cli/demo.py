"""`audotics demo`: the whole way once, on small data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import QuietOption

if TYPE_CHECKING:
    from audotics.data.dataset import Dataset
    from audotics.recommender.recommender import Recommender
    from audotics.telemetry import Progress

N_LISTENERS = 3
N_TRACKS = 10


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            envvar="AUDOTICS_SAMPLE",
            help="A public set's folder, a file of events or a Dataset; without one a service is simulated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything goes.")] = Path("demo"),
    quiet: QuietOption = False,
) -> None:
    """Data, training, evaluation and recommendations in one go, and then how to go on."""
    from rich.console import Console

    from audotics.cli import output
    from audotics.evaluation.render import report_summary
    from audotics.registry import Registry
    from audotics.telemetry import progress_on_stderr
    from audotics.training.pipeline import TrainingPipeline
    from audotics.training.publishing import publish

    output.check_folder(out)
    progress = progress_on_stderr(quiet=quiet)
    dataset = _dataset(data, out / "dataset", progress)
    trained = TrainingPipeline(progress=progress).train(dataset)
    version = publish(trained, dataset, Registry(out / "models"), "demo", progress)
    Console().print(report_summary(trained.report))
    print()
    _recommend(trained.recommender)
    # No console: it would break long commands, and people copy them.
    print(_next_steps(dataset.path, out / "models", version, trained.recommender.users.ids[0]))


def _dataset(data: Path | None, target: Path, progress: Progress) -> Dataset:
    from audotics.data.dataset import Dataset
    from audotics.data.manifest import MANIFEST_NAME

    if data is not None and (data / MANIFEST_NAME).exists():
        return Dataset.open(data)
    if data is not None:
        from audotics.data.importing import import_dataset

        return import_dataset(data, out=target, progress=progress).dataset
    from audotics.simulation import SimulationConfig, simulate

    with progress.stage("simulate a music service"):
        simulate(SimulationConfig(n_users=800, n_tracks=3000, n_days=60, n_events=80_000), target)
    return Dataset.open(target)


def _recommend(recommender: Recommender) -> None:
    from audotics.cli import output
    from audotics.domain import Query

    # Listeners of different kinds: with the shortest, a usual and the longest history.
    by_length = recommender.histories.lengths.argsort(kind="stable")
    chosen = [
        by_length[round(place * (len(by_length) - 1) / (N_LISTENERS - 1))] for place in range(N_LISTENERS)
    ]
    queries = [Query(user_id=recommender.users.ids[user], k=N_TRACKS) for user in chosen]
    output.show(output.explained(recommender, queries), as_json=False)


def _next_steps(dataset: Path, models: Path, version: str, user_id: str) -> str:
    return f"""The model is {version} in {models}. How to go on:
  audotics recommend --models {models} --user {user_id} -k 10
  audotics evaluate {dataset} --models {models} --html report.html
  audotics import YOUR_EVENTS.csv --out my-dataset
  audotics train my-dataset --models my-models
  audotics --help"""
