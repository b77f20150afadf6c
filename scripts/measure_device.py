"""Time the training of both deep models on every device of this machine, and print it as a table.

    python scripts/measure_device.py [--lists 2000] [--width 400] [--hidden 64] [--dim 64] [--json FILE]

The same trainings on the CPU and, where TensorFlow sees one, on the GPU: in float32, with wide layers in
bfloat16, and with the step on lists compiled by XLA. Figures are of the third and later passes, so that
tracing and compiling do not count; the loss of the last pass tells whether they learn the same.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from audotics.accelerator import n_gpus, placed
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.feeding import ListFeed, class_balance
from audotics.ranking.fitting import shape_of
from audotics.ranking.model import DeepRecommender
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.training_loop import TrainStep
from audotics.replicas import Replicas
from audotics.retrieval.sequence import SequenceConfig
from audotics.retrieval.sequence_batches import Batch
from audotics.retrieval.sequence_content import TowerContent
from audotics.retrieval.sequence_inputs import Sequences
from audotics.retrieval.sequence_model import SequenceModel
from audotics.retrieval.sequence_step import Training
from contract.planted import planted_tracks
from contract.ranking_lists import WEIGHTS, choose, random_inputs

N_TRACKS = 10_000
PASSES = 5
WARM_UP = 2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lists", type=int, default=2000)
    parser.add_argument("--width", type=int, default=400, help="candidates of a list")
    parser.add_argument("--hidden", type=int, default=64, help="width of the shared layer")
    parser.add_argument("--dim", type=int, default=64, help="of the sequence encoder")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for device in ("cpu", "gpu") if n_gpus() else ("cpu",):
        for mixed, xla in ((False, False), (True, False), (False, True), (True, True)):
            rows.append(ranker(device, given, mixed=mixed, xla=xla))
            print(rows[-1], file=sys.stderr)
        rows.append(encoder(device, given))
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    names = [gpu.get("device_name", "GPU") for gpu in gpus]
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, GPUs: {', '.join(names) or 'none'}\n")
    columns = list(rows[0])
    for line in (columns, ["---"] * len(columns), *([str(row[name]) for name in columns] for row in rows)):
        print("| " + " | ".join(line) + " |")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def ranker(device: Any, given: argparse.Namespace, *, mixed: bool, xla: bool) -> dict[str, Any]:
    """Candidates a second of the step on lists."""
    config = ModelConfig(
        hidden=(given.hidden,), mixed_precision=mixed, xla=xla, device=device, candidates_per_pass=10**9
    )
    rng = np.random.default_rng(1)
    inputs = random_inputs(rng, given.lists, given.width, n_tracks=N_TRACKS)
    labels = choose(rng, inputs, inputs.features @ WEIGHTS)
    examples = RankingExamples(inputs, labels[..., None], ("play",))
    content = np.zeros((N_TRACKS, 0), np.float32)
    replicas = Replicas()
    with placed(device):
        model = DeepRecommender(config, shape_of(RankingWorld(1000, content), examples))
        feed = ListFeed(examples, np.ones(examples.inputs.track_index.shape, np.float32), config)
        step = TrainStep(model, class_balance(examples), feed.batch_size)
        move = replicas.traced(step, xla=xla)
        seconds, losses = [], [0.0]
        for number in range(PASSES):
            batches = list(feed.epoch(number))  # made beforehand: feeding is the CPU's work everywhere
            started = time.perf_counter()
            losses = [float(move(batch)) for batch in batches]
            seconds.append(time.perf_counter() - started)
    n_candidates = len(losses) * feed.batch_size * min(given.width, config.candidates_per_list)
    return {
        "model": "deep ranker",
        "device": device,
        "precision": "bfloat16" if mixed else "float32",
        "xla": xla,
        "per_second": round(n_candidates / min(seconds[WARM_UP:])),
        "unit": "candidates",
        "last_loss": round(float(np.mean(losses)), 4),
    }


def encoder(device: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Windows a second of the step on sequences."""
    config = SequenceConfig(dim=given.dim, dropout=0.0, device=device)
    rng = np.random.default_rng(0)
    n_tracks = 90
    with placed(device):
        model = SequenceModel(
            TowerContent.of(planted_tracks()), dim=given.dim, n_blocks=2, n_heads=2, length=50, seed=0
        )
        training = Training(model, config, np.zeros(n_tracks, np.float32), n_steps=1000)
        windows = rng.integers(0, n_tracks, (config.batch_size, 51)).astype(np.int32)
        batch = Batch.of(
            Sequences(windows, np.zeros(windows.shape, np.int32)), np.arange(n_tracks, dtype=np.int32)
        )
        seconds = []
        for _ in range(20):
            started = time.perf_counter()
            loss = training.step(batch)
            seconds.append(time.perf_counter() - started)
    return {
        "model": "sequence encoder",
        "device": device,
        "precision": "float32",
        "xla": False,
        "per_second": round(config.batch_size / float(np.median(seconds[5:]))),
        "unit": "windows",
        "last_loss": round(loss, 4),
    }


if __name__ == "__main__":
    main()
