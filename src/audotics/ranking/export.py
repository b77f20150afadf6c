"""The trained model as files that need no Keras: LiteRT, and a SavedModel in TF Serving's layout."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from audotics.errors import DamagedError
from audotics.ranking.config import ModelShape
from audotics.ranking.model import DeepRecommender
from audotics.ranking.runtimes.naming import KERAS, SAVED_MODEL

LITERT = "model.tflite"


def input_signature(shape: ModelShape) -> dict[str, keras.InputSpec]:
    """Inputs by name; number of lists and width stay open."""
    sizes = {
        "features": ((None, None, shape.n_features), "float32"),
        "track_index": ((None, None), "int32"),
        "user_index": ((None,), "int32"),
    }
    if shape.n_context:
        sizes["context"] = ((None, shape.n_context), "float32")
    if shape.n_recent:
        sizes["recent"] = ((None, shape.n_recent), "int32")
    return {
        name: keras.InputSpec(shape=size, dtype=dtype, name=name) for name, (size, dtype) in sizes.items()
    }


def export_model(model: DeepRecommender, folder: Path) -> None:
    """Write ``model.tflite``, ``saved_model/1/`` (signature ``serving_default``) and ``model.keras``.

    The LiteRT graph uses built-in operations only, so it runs without TensorFlow's kernels. The
    ``.keras`` file is for training tools (warm starts); nothing loads it for serving.
    """
    signature = [input_signature(model.shape)]
    builtin = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(
        folder / LITERT, format="litert", input_signature=signature, target_spec=builtin, verbose=False
    )
    model.export(str(folder / SAVED_MODEL), format="tf_saved_model", input_signature=signature, verbose=False)
    model.save(folder / KERAS)


def load_model(folder: Path) -> DeepRecommender:
    """The model that `export_model` wrote, for training tools; Keras runs no code from the file.

    Raises:
        DamagedError: The file is missing or does not hold such a model.
    """
    path = folder / KERAS
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"the deep model cannot be read ({error})", where=str(path)) from error
    if not isinstance(model, DeepRecommender):
        raise DamagedError("is no deep model of ours", where=str(path))
    return model
