"""Two processes that train together learn what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contract.services import free_port

pytest.importorskip("tensorflow")

from audotics.replicas import Replicas


def _start(place: int, ports: list[int], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "contract.replica_program", str(place)]
    command += [",".join(map(str, ports)), str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return subprocess.Popen(command, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    started = [_start(0, [0], tmp_path), *(_start(place, ports, tmp_path) for place in (0, 1))]
    assert [process.wait(500) for process in started] == [0, 0, 0]
    alone, first, second = (np.load(tmp_path / f"{name}.npz") for name in ("1-0", "2-0", "2-1"))
    assert len(alone["deep/pretraining_loss"]) > 1
    for name in alone.files:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        # Ranks jump where two tracks score almost the same, so how well weights rank is not compared.
        rows = slice(2) if name == "sequence/looks" else ...
        np.testing.assert_allclose(first[name][rows], alone[name][rows], atol=2e-4, rtol=1e-3, err_msg=name)
    # It was a training, not a standstill.
    assert alone["deep/pretraining_loss"][1] < alone["deep/pretraining_loss"][0]
    assert alone["deep/loss"].min() < alone["deep/loss"][0]
    assert alone["sequence/looks"][1].min() < alone["sequence/looks"][1, 0]


def test_shares_are_whole_and_even() -> None:
    replicas = Replicas()
    assert (replicas.n, replicas.place, replicas.is_first) == (1, 0, True)
    for n_replicas in (1, 2, 3, 7):
        for n_rows in (0, 1, 5, 64):
            rows: list[int] = []
            for place in range(n_replicas):
                replicas.n, replicas.place = n_replicas, place
                share = range(n_rows)[replicas.share(n_rows)]
                assert abs(len(share) - n_rows / n_replicas) < 1
                rows += share
            assert rows == list(range(n_rows))


def test_alone_everybody_goes_by_what_it_says_itself() -> None:
    told = np.array([1.0, 2.0], np.float64)
    assert Replicas().of_first(told) is told
