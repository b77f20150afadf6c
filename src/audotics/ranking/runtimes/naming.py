"""What a version and its deep rankers are called in TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path

from audotics.errors import BadInputError
from audotics.registry.names import is_version

MODEL = "audotics"
"""Name of the model; its numbered folders are versions."""

SAVED_MODEL = "saved_model/1"
"""Where a deep ranker keeps its graph, inside its folder."""

KERAS = "model.keras"
"""Where it keeps itself for training to go on."""

MAX_LISTS = 64
"""Lists of one request at most: what ``max_batch_size`` of the batching configuration allows."""


def version_number(version: str) -> int:
    """The number that stands for a version, as folder names there are numbers; later versions are greater.

    ``20261123T101500Z-3f2a`` is 2026112310150016170: the time to the second, then the last part as five
    decimal digits. It fits the 64 bits that TensorFlow Serving has until the year 9222.

    Raises:
        BadInputError: This is no version.
    """
    if not is_version(version):
        raise BadInputError(
            f"{version!r} is not a version", remedy="Versions look like 20261123T101500Z-3f2a"
        )
    time, part = version.split("-")
    return int(time.replace("T", "").removesuffix("Z") + f"{int(part, 16):05d}")


def signature_name(folder: Path) -> str:
    """Signature of the deep ranker in a folder of a version: ``ranker/many/deep`` is ``ranker_many_deep``.

    Args:
        folder: Relative to the version.
    """
    return "_".join(folder.parts).replace("-", "_")
