"""Lists of all listeners beside implicit's recommend and the bare matrix product, on one core.

    export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
    python scripts/measure_batch.py --models MODELS [--listeners 2000] [-k 100]

All three answer the same listeners over the same tracks. implicit is given the track factors of the version's
own matrix factorisation: it does what a service without ranker, features and content would do. Needs the
extra `peers`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares

from audotics.data.queries import QueryBatch
from audotics.domain import Mode
from audotics.recommender.batch import BatchProcessor
from audotics.registry import Registry
from audotics.training.publishing import load_version

BLOCK = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--listeners", type=int, default=2000)
    parser.add_argument("-k", type=int, default=100)
    asked = parser.parse_args()
    recommender = load_version(Registry(asked.models))
    chosen = np.sort(np.random.default_rng(0).permutation(len(recommender.users))[: asked.listeners])
    names = [recommender.users.ids[place] for place in chosen]
    processor = BatchProcessor(recommender, n_threads=1)
    processor.table(names[:BLOCK], asked.k, Mode.DISCOVER)
    rates = {"audotics, all stages": rate(lambda: processor.table(names, asked.k, Mode.DISCOVER), len(names))}
    ials = next(one for one in recommender.retrievers if one.name == "ials")
    tracks = np.asarray(ials.arrays()["track_factors"], dtype=np.float32)
    batch = QueryBatch.of_listeners(recommender.histories, chosen.astype(np.int32))
    listeners = np.random.default_rng(1).standard_normal((len(chosen), tracks.shape[1])).astype(np.float32)
    model = AlternatingLeastSquares(factors=tracks.shape[1], num_threads=1)
    model.user_factors, model.item_factors = listeners, tracks
    heard = batch.histories.matrix().tocsr()
    rates[f"implicit, {tracks.shape[1]} factors"] = rate(
        lambda: model.recommend(np.arange(len(chosen)), heard, N=asked.k), len(names)
    )
    scores = np.empty((BLOCK, len(tracks)), np.float32)

    def product() -> None:
        for start in range(0, len(listeners) - BLOCK + 1, BLOCK):
            np.matmul(listeners[start : start + BLOCK], tracks.T, out=scores)

    rates["matrix product alone"] = rate(product, len(listeners) // BLOCK * BLOCK)
    print(
        f"{len(recommender.users):,} listeners, {len(tracks):,} tracks, top {asked.k}, {len(names):,} asked"
    )
    for name, listeners_per_s in rates.items():
        print(f"{name:28s} {listeners_per_s:10,.0f} listeners/s {1e3 / listeners_per_s:8.3f} ms a listener")


def rate(work: Callable[[], object], n: int) -> float:
    """Listeners per second."""
    started = time.perf_counter()
    work()
    return n / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
