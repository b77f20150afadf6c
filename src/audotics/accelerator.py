"""What device a model is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import tensorflow as tf

from audotics.errors import BadInputError

Device: TypeAlias = Literal["auto", "cpu", "gpu"]


def n_gpus() -> int:
    """GPUs that TensorFlow sees."""
    return len(tf.config.list_physical_devices("GPU"))


@contextmanager
def placed(device: Device) -> Iterator[None]:
    """Do everything inside on a device; ``auto`` takes a GPU where there is one.

    Raises:
        BadInputError: There is no GPU, and one is asked for.
    """
    if device == "gpu" and not n_gpus():
        raise BadInputError(
            "TensorFlow sees no GPU here",
            where="device",
            remedy="Set device to auto or cpu, or install CUDA with it: pip install 'tensorflow[and-cuda]'",
        )
    if device == "auto":
        yield
        return
    with tf.device(f"/{device.upper()}:0"):
        yield
