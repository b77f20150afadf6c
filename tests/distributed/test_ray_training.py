"""Ray Train: workers learn what one process learns, also when one of them is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audotics.checkpoints import Checkpoints, State
from audotics.distributed.training import DeepJob, RayLearners
from audotics.distributed.workers import RayWorkers
from audotics.errors import BadInputError
from contract.ray_processes import TRAINER, ray_processes
from contract.retriever_contract import planted_corpus

tf = pytest.importorskip("tensorflow")

from audotics.ranking.deep import DeepRanker  # noqa: E402
from audotics.replicas import Replicas  # noqa: E402
from audotics.retrieval.names import new_retriever  # noqa: E402
from contract.replica_program import SEQUENCE, deep_job  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def learners(ray_workers: RayWorkers, tmp_path: Path) -> RayLearners:
    return RayLearners(2, tmp_path / "runs")


def test_rankers_and_encoders_are_those_of_one_process(learners: RayLearners, tmp_path: Path) -> None:
    config, world, train, validation = deep_job()
    alone = DeepRanker(world, config).fit(train, validation)
    shared = DeepRanker(world, config, learners.fit_deep).fit(train, validation)
    np.testing.assert_allclose(shared.history_.loss, alone.history_.loss, rtol=1e-3)
    np.testing.assert_allclose(shared.score(validation.inputs), alone.score(validation.inputs), atol=1e-2)
    (tmp_path / "saved").mkdir()
    shared.save(tmp_path / "saved")
    loaded = DeepRanker.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.score(validation.inputs), shared.score(validation.inputs), atol=1e-4)

    corpus = planted_corpus()
    settings = SEQUENCE.model_dump()
    one = new_retriever("sequence", settings).fit(corpus)
    other = learners.fit_retriever(new_retriever("sequence", settings), corpus)
    for name, array in one.arrays().items():
        np.testing.assert_allclose(other.arrays()[name], array, atol=1e-3, err_msg=name)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_killed_worker_only_costs_time(learners: RayLearners, tmp_path: Path) -> None:
    config, world, train, validation = deep_job()
    job = DeepJob(config, world, train, validation, np.ones(train.inputs.track_index.shape, np.float32))
    alone = job.run(Replicas(), Checkpoints(tmp_path / "alone"))
    killed: list[int] = []
    over = threading.Event()

    def kill_after_a_checkpoint() -> None:
        while not over.is_set() and not killed:
            if list((tmp_path / "runs").glob("training-*/checkpoints/state.npz")):
                killed.append(ray_processes(TRAINER)[-1])
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.005)

    killer = threading.Thread(target=kill_after_a_checkpoint)
    killer.start()
    try:
        shared = learners.run(job)
    finally:
        over.set()
        killer.join()
    assert len(killed) == 1
    for name, value in alone.items():
        np.testing.assert_allclose(shared[name], value, atol=2e-3, rtol=1e-2, err_msg=name)


@dataclass(frozen=True)
class Refusing:
    """A job that cannot be done."""

    def run(self, replicas: Replicas, checkpoints: Checkpoints) -> State:
        raise BadInputError("there is nothing to learn from", where="job")


def test_what_a_worker_refuses_is_told(learners: RayLearners) -> None:
    with pytest.raises(BadInputError, match="nothing to learn from"):
        learners.run(Refusing())
