"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


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

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


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
