"""`audotics train`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.options import (
    EngineOption,
    JsonOption,
    ModelsOption,
    QuietOption,
    RayWorkersOption,
    TrackOption,
    engine_workers,
)

if TYPE_CHECKING:
    from audotics.training.learners import Learners
    from audotics.training.pipeline import Trained

_Dataset = Annotated[Path, typer.Argument(help="A Dataset folder.", show_default=False)]
_Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.", show_default=False)
]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; values as in TOML.", show_default=False),
]
_Name = Annotated[str, typer.Option("--name", help="A name for people, kept in the manifest.")]
_IncludeHeard = Annotated[
    bool, typer.Option("--include-heard", help="Train for tracks the listener has heard, too.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(train)


def train(
    dataset: _Dataset,
    models: ModelsOption,
    config: _Config = None,
    settings: _Settings = None,
    name: _Name = "model",
    include_heard: _IncludeHeard = False,
    track: TrackOption = None,
    engine: EngineOption = "local",
    workers: RayWorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train on all of a Dataset and publish the result as the champion.

    Part of the data is hidden first: it chooses the settings and the ranker, and judges the result.
    With --engine ray, workers train the deep ranker and the sequence encoder together.
    """
    from audotics.cli import output
    from audotics.data.dataset import Dataset
    from audotics.registry import Registry
    from audotics.registry.names import check_name
    from audotics.telemetry import progress_on_stderr
    from audotics.training.config import read_config
    from audotics.training.pipeline import TrainingPipeline
    from audotics.training.publishing import publish

    check_name(name, "version name")
    log = None
    if track is not None:
        from audotics.lifecycle.tracking import tracker

        log = tracker(track, models, output.note)
    wanted = read_config(config, [*(settings or ()), *(["include_heard=true"] if include_heard else [])])
    opened = Dataset.open(dataset)
    output.check_folder(models)
    progress = progress_on_stderr(quiet=quiet)
    with ray_learners(engine, workers, models) as learners:
        trained = TrainingPipeline(wanted, progress, learners).train(opened)
    registry = Registry(models)
    version = publish(trained, opened, registry, name, progress)
    if log is not None:
        log(trained, registry.show(version))
    if as_json:
        print(json.dumps(_as_dict(trained, version)))
    else:
        _print_summary(trained, version)
        if not quiet:
            print(f"Every table: audotics evaluate {dataset} --models {models}")


@contextmanager
def ray_learners(engine: str, n_workers: int | None, models: Path) -> Iterator[Learners | None]:
    """The learners of ``--engine ray``, with a folder beside the models for as long as they are needed.

    Raises:
        BadInputError: ``--workers`` is given without them.
        MissingExtraError: Ray is not installed.
        UnavailableError: The cluster that ``RAY_ADDRESS`` names is not there.
    """
    found = engine_workers(engine, n_workers)
    if found is None:
        yield None
        return
    from audotics.distributed.training import RayLearners

    models.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{models.name}.training-", dir=models.parent) as folder:
        yield RayLearners(found, Path(folder))


def _as_dict(trained: Trained, version: str) -> dict[str, object]:
    return {
        "version": version,
        "holdout": trained.holdout,
        "rankers": [asdict(standing) for standing in trained.standings],
        "left_out": trained.left_out,
        "report": trained.report.model_dump(mode="json"),
    }


def _print_summary(trained: Trained, version: str) -> None:
    from rich.console import Console

    from audotics.evaluation.render import report_summary

    print(f"Held out: {trained.holdout}")
    print("Rankers, by NDCG@20 on the listeners that choose:")
    for standing in trained.standings:
        mark = "  <- serves" if standing.chosen else ""
        print(f"  {standing.name:10s} {standing.ndcg:.4f}{mark}")
    for name, why in trained.left_out.items():
        print(f"  {name:10s} left out: {why}")
    print()
    Console().print(report_summary(trained.report))
    print(f"\nPublished {version} as champion")
