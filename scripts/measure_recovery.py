"""How well a trained version recovers the tastes that a simulation planted.

    python scripts/measure_recovery.py DATASET MODELS [K]

DATASET was made by `audotics simulate`, MODELS holds a champion trained on it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from audotics.domain import Mode
from audotics.recommender.batch import BatchProcessor
from audotics.registry import Registry
from audotics.simulation import Truth, recovered_tastes
from audotics.training.publishing import load_version


def main(dataset: Path, models: Path, k: int) -> None:
    """Print each measure of `TasteRecovery` on its own line."""
    recommender = load_version(Registry(models))
    slates = BatchProcessor(recommender).table(recommender.users.ids, k, Mode.DISCOVER)
    counts = recommender.histories.matrix().getnnz(axis=0)
    popular = [recommender.tracks.ids[track] for track in (-counts).argsort(kind="stable")[:k]]
    measured = recovered_tastes(slates, Truth.load(dataset), popular=popular)
    for name, value in asdict(measured).items():
        print(f"{name:18s} {value:,}" if isinstance(value, int) else f"{name:18s} {value:.4f}")


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 20)
