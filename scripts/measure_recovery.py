"""How well a trained version recovers the tastes that a simulation planted.

    python scripts/measure_recovery.py DATASET MODELS [K]

DATASET was made by `audotics simulate`, MODELS holds a champion trained on it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import polars as pl

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
    truth = Truth.load(dataset)
    for name, value in asdict(recovered_tastes(slates, truth, popular=popular)).items():
        print(f"{name:18s} {value:,}" if isinstance(value, int) else f"{name:18s} {value:.4f}")
    print_drifted(slates, truth, popular)


def print_drifted(slates: pl.DataFrame, truth: Truth, popular: list[str]) -> None:
    """Print how far listeners whose taste jumped are followed, by the time since."""
    print("listeners whose taste jumped, by days since:")
    listeners = slates["user_id"].unique().sort()
    since = truth.config.n_days - truth.drift_day[truth.users(listeners)]
    for low, high in ((0, 15), (15, 30), (30, 45), (45, truth.config.n_days)):
        chosen = listeners.filter((since >= low) & (since < high))
        some = slates.filter(pl.col("user_id").is_in(chosen.implode()))
        if some.is_empty():
            continue
        part = recovered_tastes(some, truth, popular=popular)
        print(
            f"  {low:2d} to {high:2d}: {part.n_drifted:5,} listeners, near the new taste "
            f"{part.drifted_current:.3f}, the old {part.drifted_old:.3f}, "
            f"followed {part.drifted_followed:.3f}"
        )


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4}:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 20)
