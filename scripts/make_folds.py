"""Cut a table of listener-track pairs into folds for cross-validation.

    python scripts/make_folds.py PAIRS OUT [--folds 5] [--seed 0]

PAIRS is a CSV or TSV file (gz is fine) with the columns user_id and track_id; further columns are kept.
Each listener's rows are dealt at random into the folds; OUT/fold-I/test.tsv holds one of them and
OUT/fold-I/train.tsv the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl


def main() -> None:
    """Read, deal, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for number, (train, test) in enumerate(dealt(read(asked.pairs), asked.folds, asked.seed)):
        folder = asked.out / f"fold-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        train.write_csv(folder / "train.tsv", separator="\t")
        test.write_csv(folder / "test.tsv", separator="\t")


def read(path: Path) -> pl.DataFrame:
    """The pairs, every column as text."""
    separator = "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"
    return pl.read_csv(path, separator=separator, infer_schema=False)


def dealt(pairs: pl.DataFrame, n_folds: int, seed: int) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """Train and test of each fold; a listener's folds differ in size by at most one row."""
    shuffled = pairs.sample(fraction=1.0, shuffle=True, seed=seed)
    # Who has fewer rows than folds must not fill the first folds only.
    start = pl.col("user_id").hash(seed) % n_folds
    fold = (pl.int_range(pl.len()).over("user_id").cast(pl.UInt64) + start) % n_folds
    marked = shuffled.with_columns(fold.alias("fold"))
    return [
        (
            marked.filter(pl.col("fold") != number).drop("fold"),
            marked.filter(pl.col("fold") == number).drop("fold"),
        )
        for number in range(n_folds)
    ]


if __name__ == "__main__":
    main()
