"""Trains both deep models in one of several processes, for tests: ``python -m contract.replica_program``.

Arguments: the place of this process, the ports of all (separated by commas), a folder. Its weights and curves
go into the folder. Without dropout every process has the same noise, which is none.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from audotics.checkpoints import Checkpoints, State
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.protocol import RankingExamples
from audotics.retrieval.sequence import SequenceConfig
from contract.deep_worlds import CONTENT, SMALL, group_interactions, world
from contract.ranking_lists import linear_examples

QUIET = {"dropout": 0.0, "id_dropout": 0.0}
DEEP: ModelConfig = SMALL.model_copy(
    update={**QUIET, "batch_size": 15, "epochs": 4, "patience": 4, "embedding_rate": 0.5}
)
SEQUENCE = SequenceConfig(dim=8, n_heads=2, length=6, max_steps=40, batch_size=15, n_negatives=20, **QUIET)


def deep_job() -> tuple[ModelConfig, RankingWorld, RankingExamples, RankingExamples]:
    """Lists and pairs to learn from."""
    lists, others = linear_examples(seed=1, n_lists=64), linear_examples(seed=2, n_lists=32)
    return DEEP, world(CONTENT, group_interactions()), lists, others


def main(place: int, ports: list[str], folder: Path) -> None:
    workers = [f"127.0.0.1:{port}" for port in ports]
    if len(workers) > 1:
        task = {"type": "worker", "index": place}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    import tensorflow as tf

    from audotics.distributed.training import DeepJob, SequenceJob
    from audotics.replicas import Replicas
    from contract.retriever_contract import planted_corpus

    strategy = tf.distribute.MultiWorkerMirroredStrategy() if len(workers) > 1 else None
    replicas = Replicas(strategy)
    config, known, train, validation = deep_job()
    weights = np.ones(train.inputs.track_index.shape, np.float32)
    learned: State = {}
    for name, job in {
        "deep": DeepJob(config, known, train, validation, weights),
        "sequence": SequenceJob(SEQUENCE, planted_corpus()),
    }.items():
        found = job.run(replicas, Checkpoints(folder / f"{name}-{len(ports)}", writes=replicas.is_first))
        learned |= {f"{name}/{key}": value for key, value in found.items()}
    np.savez(folder / f"{len(ports)}-{place}.npz", allow_pickle=False, **learned)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].split(","), Path(sys.argv[3]))
