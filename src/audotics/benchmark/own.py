"""Ours as one more system: trained on the same part, or a version that was trained before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from audotics.benchmark.jobs import Outcome, OwnJob, StoredVersion
from audotics.data.dataset import Dataset
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, IndexArray, Mode
from audotics.errors import BadInputError
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.recommender import Recommender
from audotics.registry import Registry
from audotics.telemetry.memory import peak_memory_mib
from audotics.training.config import TrainConfig
from audotics.training.pipeline import TrainingPipeline
from audotics.training.publishing import load_version


def find_version(dataset: Dataset, models: Path, reference: str) -> StoredVersion:
    """A version to take in place of training.

    Args:
        dataset: The training part of the benchmark.
        models: Folder of the versions.
        reference: An id or alias.

    Raises:
        BadInputError: There is no such version, or it was trained on other data.
    """
    manifest = Registry(models).show(reference)
    if manifest.dataset.fingerprint != dataset.manifest.fingerprint:
        raise BadInputError(
            "this is not the Dataset that the version was trained on",
            where=str(dataset.path),
            remedy="Give that Dataset; `audotics models show` tells its fingerprint",
        )
    return StoredVersion(models=models.absolute(), version=manifest.version)


def train_and_recommend(job: OwnJob) -> tuple[Outcome, IndexArray]:
    """Do the job.

    Returns:
        What it took, and the lists ``[n_listeners, k]`` in the job's order and numbers.
    """
    if job.version is None:
        recommender, fit_s, note, training_peak = *_train(job), 0.0
    else:
        recommender, fit_s, note, training_peak = _load(job.version)
    listeners = pl.read_parquet(job.listeners)["user_id"].to_list()
    processor = BatchProcessor(recommender)
    mode = Mode.MIX if job.include_heard else Mode.DISCOVER
    started = time.perf_counter()
    timed = processor.table(listeners[: job.n_timed], job.k, mode)
    recommend_s = time.perf_counter() - started
    others = processor.table(listeners[job.n_timed :], job.k, mode)
    tracks = Vocabulary(pl.read_parquet(job.tracks)["track_id"].to_list())
    outcome = Outcome(
        fit_s=fit_s,
        recommend_s=recommend_s,
        peak_memory_mib=max(peak_memory_mib(), training_peak),
        note=note,
    )
    return outcome, _as_lists(pl.concat([timed, others]), listeners, tracks, job.k)


def _train(job: OwnJob) -> tuple[Recommender, float, str]:
    config = TrainConfig.model_validate(job.settings)
    dataset = Dataset.open(job.dataset)
    started = time.perf_counter()
    trained = TrainingPipeline(config).train(dataset)
    seconds = time.perf_counter() - started
    served = next(standing.name for standing in trained.standings if standing.chosen)
    return trained.recommender, seconds, f"ranker {served}"


def _load(stored: StoredVersion) -> tuple[Recommender, float, str, float]:
    """A version, with the seconds and the memory that its manifest tells of its training."""
    registry = Registry(stored.models)
    manifest = registry.show(stored.version)
    # Names of inner stages hold " / ": their time is in their outer stage's.
    outer = [record for record in manifest.timings if " / " not in record.name]
    recommender = load_version(registry, manifest.version)
    return (
        recommender,
        sum(record.seconds for record in outer),
        f"version {manifest.version}, ranker {manifest.config['ranker']}",
        max((record.peak_memory_mib for record in outer), default=0.0),
    )


def _as_lists(table: pl.DataFrame, listeners: Sequence[str], tracks: Vocabulary, k: int) -> IndexArray:
    """A table of lists as track numbers ``[n_listeners, k]``, padded with -1."""
    lists = np.full((len(listeners), k), PADDING, np.int32)
    rows = Vocabulary(listeners).encode(table["user_id"])
    lists[rows, table["rank"].to_numpy() - 1] = tracks.encode(table["track_id"])
    return lists
