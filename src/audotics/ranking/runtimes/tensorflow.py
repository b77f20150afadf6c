"""Runs an exported ranking model with TensorFlow in process: on its GPU, where it sees one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audotics.errors import DamagedError
from audotics.ranking.batches import TensorDict
from audotics.ranking.runtimes.graph_check import check_saved_model


class TensorFlowRuntime:
    """One SavedModel in memory. Importing TensorFlow takes seconds and some hundred MB. Thread-safe.

    Args:
        folder: Holds ``saved_model.pb``; checked before it is loaded.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        DamagedError: The files are missing, damaged, or could do more than compute.
    """

    def __init__(self, folder: Path) -> None:
        check_saved_model(folder)
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(str(folder))
            self._run = self._model.signatures["serving_default"]
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            raise DamagedError("the exported model cannot be loaded", where=str(folder)) from error
        self._as_tensor = tf.constant

    def __call__(self, inputs: TensorDict) -> TensorDict:
        """Outputs by name for inputs by name, whatever their batch and width."""
        outputs = self._run(**{name: self._as_tensor(array) for name, array in inputs.items()})
        return {name: np.asarray(values) for name, values in outputs.items()}
