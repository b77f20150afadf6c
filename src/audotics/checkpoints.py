"""Where a training stands, as plain arrays in one file, so that a run that was cut short goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from audotics.errors import DamagedError

State: TypeAlias = dict[str, npt.NDArray[Any]]


class Checkpoints:
    """The last state of one training in a folder; nothing in it is code.

    Args:
        folder: Of this training alone; made where it is missing.
        writes: Whether this process writes. The others only read.
        on_saved: Called with each file that was written.
    """

    def __init__(
        self, folder: Path, *, writes: bool = True, on_saved: Callable[[Path], None] = lambda _: None
    ) -> None:
        self._path = folder / "state.npz"
        self._writes = writes
        self._on_saved = on_saved
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def exist(self) -> bool:
        """Whether there is a state to go on from."""
        return self._path.exists()

    def save(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Replace the state in one step: a kill leaves the old one or the new one."""
        if not self._writes:
            return
        beside = self._path.with_name("state.unfinished.npz")
        np.savez(beside, allow_pickle=False, **state)
        beside.replace(self._path)
        self._on_saved(self._path)

    def load(self) -> State | None:
        """The last state; None where nothing was saved.

        Raises:
            DamagedError: The file is torn.
        """
        if not self._path.exists():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise DamagedError(
                f"the checkpoint cannot be read ({error})",
                where=str(self._path),
                remedy="Remove it: training begins anew",
            ) from error


def values_of(variables: Sequence[Any], prefix: str) -> State:
    """Values of TensorFlow or Keras variables, by prefix and place."""
    return {f"{prefix}.{place}": np.asarray(variable.numpy()) for place, variable in enumerate(variables)}


def assign_values(variables: Sequence[Any], prefix: str, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give variables what `values_of` took from them.

    Raises:
        DamagedError: The state is of another model.
    """
    for place, variable in enumerate(variables):
        value = state.get(f"{prefix}.{place}")
        if value is None or tuple(value.shape) != tuple(variable.shape):
            raise DamagedError(
                "the checkpoint is of another model",
                where=f"{prefix}.{place}",
                remedy="Remove it: training begins anew",
            )
        variable.assign(value)
