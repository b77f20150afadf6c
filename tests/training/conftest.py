from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.training.config import TrainConfig
from audotics.training.fold import Fold, hide
from audotics.training.pipeline import Trained, TrainingPipeline
from contract.planted import no_users, planted_events, planted_tracks

QUICK = TrainConfig(
    retrievers=("item-knn", "rp3beta", "popularity"),
    rankers=("single", "mean", "linear"),
    tune_trials=2,
    tune_seconds=5,
    per_retriever=30,
)


@pytest.fixture(scope="session")
def fold() -> Fold:
    return hide(planted_events(), planted_tracks(), no_users(), seed=0, include_heard=False)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("planted") / "dataset"
    return write_dataset(folder)


@pytest.fixture(scope="session")
def trained(dataset: Dataset) -> Trained:
    return TrainingPipeline(QUICK).train(dataset)


def write_dataset(folder: Path) -> Dataset:
    with DatasetWriter(folder, source="planted") as writer:
        writer.add_events(planted_events())
        writer.set_table("tracks", planted_tracks())
        return writer.commit()


def rows_of(fold: Fold, n: int) -> np.ndarray:
    return np.arange(min(n, fold.batch.size), dtype=np.int32)
