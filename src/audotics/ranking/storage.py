"""Learned state of a ranker as plain files: one JSON of settings, one ``.npy`` per array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.errors import DamagedError

_SETTINGS = "ranker.json"


def write_state(folder: Path, settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write settings (JSON values) and arrays into an existing folder."""
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def read_settings(folder: Path, ranker: str) -> dict[str, Any]:
    """Settings written by `write_state`.

    Args:
        folder: Where the ranker was saved.
        ranker: Name of the ranker that must have been saved there.

    Raises:
        DamagedError: The file is missing, is no JSON object, or belongs to another ranker.
    """
    path = folder / _SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError("the ranker's settings cannot be read", where=str(path)) from error
    if not isinstance(settings, dict) or settings.get("ranker") != ranker:
        raise DamagedError(f"this is not a saved {ranker!r} ranker", where=str(path))
    return settings


def read_array(folder: Path, name: str, ndim: int) -> npt.NDArray[Any]:
    """One array written by `write_state`; never unpickles.

    Raises:
        DamagedError: The file is missing, unreadable or has other dimensions than ``ndim``.
    """
    path = folder / f"{name}.npy"
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedError("the array cannot be read", where=str(path)) from error
    if array.ndim != ndim:
        raise DamagedError(f"the array has {array.ndim} dimensions instead of {ndim}", where=str(path))
    return array
