"""`audotics import --engine ray`: the Dataset of one process, also when a worker is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from audotics.cli.main import app
from audotics.data import import_dataset
from audotics.data.dataset import Dataset
from audotics.distributed.workers import RayWorkers
from contract.ray_processes import ray_processes


def _write_shards(source: Path, n_shards: int, n_events: int) -> None:
    source.mkdir()
    rng = np.random.default_rng(1)
    for number in range(n_shards):
        pl.DataFrame(
            {
                "user_id": pl.Series(rng.integers(0, 300, n_events)).cast(pl.String),
                "track_id": pl.Series(rng.integers(0, 20, n_events)).cast(pl.String),
                "timestamp": rng.integers(1_600_000_000, 1_600_000_900, n_events),
            }
        ).write_csv(source / f"part-{number:03d}.csv")


def test_the_command_makes_the_same_dataset(ray_workers: RayWorkers, tmp_path: Path) -> None:
    _write_shards(tmp_path / "log", 3, 2000)
    said = []
    for engine in (["--engine", "ray", "--workers", "2"], ["--engine", "local"]):
        out = tmp_path / engine[1]
        arguments = ["import", str(tmp_path / "log"), "--out", str(out), "--json", "--quiet", *engine]
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        said.append(json.loads(done.stdout))
        assert Dataset.open(out).manifest.rows == said[-1]["rows"]
    by_ray, alone = said
    assert by_ray["fingerprint"] == alone["fingerprint"]
    assert by_ray["counts"] == alone["counts"]
    assert alone["counts"]["events"]["merged"] > 0


def test_workers_without_an_engine_are_refused(tmp_path: Path) -> None:
    _write_shards(tmp_path / "log", 1, 10)
    arguments = ["import", str(tmp_path / "log"), "--out", str(tmp_path / "out"), "--workers", "2"]
    done = CliRunner().invoke(app, arguments)
    assert "--workers: one process has no workers. Add --engine ray" in str(done.exception)


@pytest.mark.slow
def test_workers_killed_at_either_stage_change_nothing(ray_workers: RayWorkers, tmp_path: Path) -> None:
    _write_shards(tmp_path / "log", 6, 250_000)
    killed: list[str] = []
    over = threading.Event()

    def kill_one_of_each() -> None:
        while not over.is_set():
            for name in {"read_shard", "sort_cut"} - set(killed):
                for process in ray_processes(name)[:1]:
                    os.kill(process, signal.SIGKILL)
                    killed.append(name)
            time.sleep(0.002)

    killer = threading.Thread(target=kill_one_of_each)
    killer.start()
    try:
        shared = import_dataset(tmp_path / "log", out=tmp_path / "shared", workers=ray_workers)
    finally:
        over.set()
        killer.join()
    alone = import_dataset(tmp_path / "log", out=tmp_path / "alone")
    assert sorted(killed) == ["read_shard", "sort_cut"]
    assert shared.dataset.manifest.fingerprint == alone.dataset.manifest.fingerprint
    assert shared.counts == alone.counts
