"""The deep rankers of a version in TensorFlow Serving's layout: one SavedModel, a signature for each."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from audotics.errors import BadInputError, DamagedError, MissingExtraError
from audotics.ranking.batches import TensorDict
from audotics.ranking.config import ModelShape
from audotics.ranking.runtimes.graph_check import check_saved_model
from audotics.ranking.runtimes.messages import prediction_log
from audotics.ranking.runtimes.naming import (
    MAX_LISTS,
    MODEL,
    SAVED_MODEL,
    signature_name,
    version_number,
)
from audotics.registry.durable import flush_folder

DEFAULT_SIGNATURE = "serving_default"
"""Stands for the first deep ranker, beside the name of its own."""

_DEEP = "deep"
_SETTINGS = "ranker.json"
_NO_RANKERS = {"blend", "by-history", "heads"}
"""What is made of rankers, or beside them."""

_WARM_UP_WIDTHS = (128, 512)

_MODELS_CONFIG = f"""\
# tensorflow_model_server --model_config_file=/models/models.config
# base_path is where the server sees the folder that stands beside this file.
model_config_list {{
  config {{
    name: "{MODEL}"
    base_path: "/models/{MODEL}"
    model_platform: "tensorflow"
    # Two versions: while a new one comes, servers that still answer with the one before find it.
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
}}
"""

_BATCHING_CONFIG = f"""\
# tensorflow_model_server --enable_batching --batching_parameters_file=/models/batching.config
# For a GPU, or many requests at once; on a CPU with few it only adds the wait.
# A request holds at most as many lists as one batch. Requests are made equally wide by those who send
# them, so nothing is padded here.
max_batch_size {{ value: {MAX_LISTS} }}
batch_timeout_micros {{ value: 500 }}
max_enqueued_batches {{ value: 64 }}
num_batch_threads {{ value: 4 }}
"""


@dataclass(frozen=True, slots=True)
class ServingExport:
    """What was written.

    Args:
        folder: Of the version, its number as name.
        signatures: Folder of each deep ranker in the version, by the signature that runs it.
    """

    folder: Path
    signatures: Mapping[str, Path]


def export_for_tf_serving(version_folder: Path, version: str, target: Path) -> ServingExport:
    """Write ``target/audotics/<number>/`` and, where they are missing, the two configurations.

    The numbered folder appears whole or not at all, so a server that watches never reads half of one.

    Args:
        version_folder: Of a version that was verified.
        version: Its id.
        target: Made if missing; holds any number of versions.

    Raises:
        BadInputError: The version has no deep ranker, or was exported to there already.
        DamagedError: A stored graph is damaged or could do more than compute.
        MissingExtraError: TensorFlow is not installed.
    """
    if find_spec("tensorflow") is None:
        raise MissingExtraError("exporting for TensorFlow Serving", "tensorflow")
    signatures = {signature_name(part): part for part in _deep_parts(version_folder, version)}
    final = target / MODEL / str(version_number(version))
    if final.exists():
        raise BadInputError(
            f"version {version} is there already", where=str(final), remedy="Remove it to export it again"
        )
    final.parent.mkdir(parents=True, exist_ok=True)
    staging = final.with_name(f".{final.name}.{secrets.token_hex(4)}")  # servers see numbers only
    try:
        _save_together(version_folder, signatures, staging)
        check_saved_model(staging)
        _write_warm_up(version_folder, signatures, staging, int(final.name))
        _flush(staging)
        staging.rename(final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    flush_folder(final.parent)
    for name, text in (("models.config", _MODELS_CONFIG), ("batching.config", _BATCHING_CONFIG)):
        if not (target / name).exists():
            (target / name).write_text(text, encoding="utf-8")
    return ServingExport(final, signatures)


def _deep_parts(version_folder: Path, version: str) -> list[Path]:
    """Folders of the deep rankers, relative to the version: for unheard tracks and long histories first.

    Raises:
        BadInputError: There are none.
    """
    rankers = dict(_rankers(version_folder))
    deep = [part for part, name in rankers.items() if name == _DEEP]
    if not deep:
        others = sorted({name for name in rankers.values() if name not in _NO_RANKERS})
        raise BadInputError(
            f"version {version} has no deep ranker; it ranks with {', '.join(others) or 'nothing'}",
            remedy="Train with the deep ranker (--set 'rankers=[\"deep\"]'), or serve it as it is: "
            "its rankers are scored in process",
        )
    return sorted(deep, key=lambda part: (part.parts[0] != "ranker", "many" not in part.parts, part))


def _rankers(version_folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(version_folder.rglob(_SETTINGS)):
        yield path.parent.relative_to(version_folder), str(_read_settings(path).get("ranker"))


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError("the ranker's settings cannot be read", where=str(path)) from error
    return settings


def _save_together(version_folder: Path, signatures: Mapping[str, Path], folder: Path) -> None:
    """One SavedModel of all; tables of content and embeddings are variables inside it."""
    import tensorflow as tf

    together = tf.Module()
    together.parts = {}
    for name, part in signatures.items():
        check_saved_model(version_folder / part / SAVED_MODEL)
        together.parts[name] = tf.saved_model.load(str(version_folder / part / SAVED_MODEL))
    functions = {name: model.signatures[DEFAULT_SIGNATURE] for name, model in together.parts.items()}
    default = {DEFAULT_SIGNATURE: functions[next(iter(functions))]}
    tf.saved_model.save(together, str(folder), signatures=functions | default)


def _write_warm_up(version_folder: Path, signatures: Mapping[str, Path], folder: Path, number: int) -> None:
    """Requests that a server answers to itself before it takes others: each signature at usual widths."""
    import tensorflow as tf

    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as records:
        for name, part in signatures.items():
            shape = ModelShape.model_validate(_read_settings(version_folder / part / _SETTINGS)["shape"])
            for width in _WARM_UP_WIDTHS:
                records.write(prediction_log(MODEL, number, name, _example(shape, width)))


def _example(shape: ModelShape, width: int) -> TensorDict:
    """Inputs of one list about known tracks."""
    tracks = (np.arange(width, dtype=np.int32) % max(shape.n_tracks, 1))[None]
    inputs: TensorDict = {
        "features": np.zeros((1, width, shape.n_features), np.float32),
        "track_index": tracks,
        "user_index": np.zeros(1, np.int32),
    }
    if shape.n_context:
        inputs["context"] = np.zeros((1, shape.n_context), np.float32)
    if shape.n_recent:
        inputs["recent"] = np.resize(tracks, (1, shape.n_recent))
    return inputs


def _flush(folder: Path) -> None:
    """Everything inside is on the disk before the folder gets its name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            flush_folder(path)
    flush_folder(folder)
