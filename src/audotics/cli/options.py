"""Options that several commands share."""

from __future__ import annotations

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

QuietOption: TypeAlias = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
