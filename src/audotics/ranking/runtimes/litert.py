"""Runs an exported ranking model with LiteRT, in a process that never imports TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.errors import DamagedError, MissingExtraError


class LiteRTRuntime:
    """One exported model in memory.

    Safe to call from several threads; calls take turns, as an interpreter owns its buffers.

    Args:
        path: The ``.tflite`` file.
        n_threads: Threads of one call.

    Raises:
        MissingExtraError: LiteRT is not installed.
        DamagedError: The file is missing or no model.
    """

    def __init__(self, path: Path, n_threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtraError("scoring with the deep ranker", "litert") from error
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=n_threads)
            self._run = self._interpreter.get_signature_runner("serving_default")
        except (ValueError, RuntimeError) as error:
            raise DamagedError("the exported model cannot be read", where=str(path)) from error
        self._lock = threading.Lock()

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Outputs by name for inputs by name, whatever their batch and width."""
        with self._lock:
            outputs: dict[str, npt.NDArray[np.float32]] = self._run(**inputs)
        return outputs
