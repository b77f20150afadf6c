"""A small listening log, with order and counts, and what `prepare` makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.benchmark.preparation import Material, prepare
from audotics.benchmark.report import BenchmarkReport, Conditions
from audotics.benchmark.running import run_benchmark
from audotics.data.dataset import Dataset
from audotics.data.interactions import Interactions
from audotics.data.writer import DatasetWriter
from audotics.training.config import TrainConfig
from contract.planted import planted_events, planted_tracks

CONDITIONS = Conditions(trials=2, seconds=5, timeout_s=120, threads=1, seed=0)


def write_dataset(folder: Path, events: pl.DataFrame) -> Dataset:
    with DatasetWriter(folder) as writer:
        writer.add_events(events)
        writer.set_table("tracks", planted_tracks())
        return writer.commit()


@pytest.fixture(scope="session")
def conditions() -> Conditions:
    return CONDITIONS


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """90 listeners, each nine times in ten in their own genre; no times, no order."""
    return write_dataset(tmp_path_factory.mktemp("planted") / "dataset", planted_events())


@pytest.fixture(scope="session")
def material(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return prepare(planted, None, TrainConfig(seed=3), tmp_path_factory.mktemp("material") / "files")


@pytest.fixture(scope="session")
def report(planted: Dataset) -> BenchmarkReport:
    """Of two baselines and a tuned peer that needs no library, run in child processes."""
    return run_benchmark(planted, None, CONDITIONS, config=TrainConfig(seed=3), peers=["popularity", "ease"])


@pytest.fixture(scope="session")
def histories() -> Interactions:
    """Planted histories in an order: the places in the table are the places in time."""
    events = planted_events().with_row_index("at")
    users, tracks = (events[name].unique().sort() for name in ("user_id", "track_id"))
    encoded = events.select(
        pl.col("user_id")
        .replace_strict(users, np.arange(len(users)), return_dtype=pl.Int32)
        .alias("user_index"),
        pl.col("track_id")
        .replace_strict(tracks, np.arange(len(tracks)), return_dtype=pl.Int32)
        .alias("track_index"),
        "plays",
        pl.col("at").cast(pl.Int64),
    )
    # Two tracks more than anybody has heard.
    return Interactions.from_events(encoded, len(users), len(tracks) + 2, ordered=True)
