"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

if TYPE_CHECKING:
    from audotics.distributed.workers import RayWorkers
    from audotics.domain import Mode


def _models_dir() -> Path:
    from audotics.settings import read_settings

    return read_settings().models


ModelsOption: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--models",
        metavar="DIR",
        help="Folder of trained versions; else AUDOTICS_MODELS, audotics.toml, or ./models.",
        default_factory=_models_dir,
        show_default=False,
    ),
]
"""``--models DIR``: declare it without a default, the settings give one."""

VersionOption: TypeAlias = Annotated[str, typer.Option("--model", help="A version, an alias or 'latest'.")]

MapOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="COLUMN=NAME", help="A schema column and its name in the file. Repeatable."
    ),
]
"""``--map COLUMN=NAME``; `parse_map` reads it."""

QuietOption: TypeAlias = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]

TrackOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="URI",
        help="Log the run to this MLflow server or store; 'local' is mlflow.db among the models.",
        show_default=False,
    ),
]
"""``--track URI``: see `audotics.lifecycle.tracking`."""

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


EngineOption: TypeAlias = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", help="Where the work is done: this process, or a Ray cluster (docs/ray.md)."),
]

RayWorkersOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=10_000,
        help="With --engine ray: processes at work at once; else one for each core of this machine.",
        show_default=False,
    ),
]


def engine_workers(engine: str, n_workers: int | None) -> int | None:
    """How many workers ``--engine ray`` has; None where this process does the work.

    Raises:
        BadInputError: ``--workers`` is given without them.
    """
    import os

    from audotics.errors import BadInputError

    if engine == "ray":
        return n_workers or os.cpu_count() or 1
    if n_workers is not None:
        raise BadInputError("one process has no workers", where="--workers", remedy="Add --engine ray")
    return None


def ray_workers(engine: str, n_workers: int | None) -> RayWorkers | None:
    """The workers of ``--engine ray``; None where this process does the work.

    Raises:
        BadInputError: ``--workers`` is given without them.
        MissingExtraError: Ray is not installed.
        UnavailableError: The cluster that ``RAY_ADDRESS`` names is not there.
    """
    found = engine_workers(engine, n_workers)
    if found is None:
        return None
    from audotics.distributed.workers import RayWorkers

    return RayWorkers(found)


def wanted_mode(mode: str | None, include_heard: bool) -> Mode:
    """What ``--mode`` and ``--include-heard``, its other name for ``mix``, ask for together.

    Raises:
        BadInputError: They contradict each other.
    """
    from audotics.domain import Mode
    from audotics.errors import BadInputError

    wanted = Mode(mode or Mode.DISCOVER)
    if include_heard and mode is not None and wanted is not Mode.MIX:
        raise BadInputError(
            f"--include-heard and --mode {mode} contradict each other",
            where="options",
            remedy="Leave one of them out",
        )
    return Mode.MIX if include_heard else wanted


def parse_map(pairs: Sequence[str]) -> dict[str, str]:
    """What `MapOption` was given, as a column map.

    Raises:
        BadInputError: One is not of the form ``COLUMN=NAME``.
    """
    from audotics.errors import BadInputError

    column_map = {}
    for pair in pairs:
        left, equals, right = pair.partition("=")
        if not (left and equals and right):
            raise BadInputError(
                f"{pair!r} is no column mapping", where="--map", remedy="Write --map user_id=NAME_IN_THE_FILE"
            )
        column_map[left.strip()] = right.strip()
    return column_map
