"""What each retriever and each input of the ranker adds, measured on hidden plays.

    python scripts/measure_ablation.py DATASET MODELS [key=value ...]

Trains as `audotics train` does (settings as with --set), publishes the version, then fits the simple
rankers again without one group of features at a time, on the same lists and for the same listeners.
Figures are NDCG@20 on the choosing and the judging listeners together; a difference is that of pairs,
with its standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from audotics.data.dataset import Dataset
from audotics.domain import FloatArray, IndexArray
from audotics.ranking.blend import BlendRanker
from audotics.ranking.boosted import BoostedRanker
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import validation_ndcg
from audotics.registry import Registry
from audotics.telemetry import progress_on_stderr
from audotics.training.branches import LearnedBranch
from audotics.training.config import read_config
from audotics.training.lists import joined
from audotics.training.pipeline import TrainingPipeline
from audotics.training.publishing import publish


def main(dataset: Path, models: Path, settings: list[str]) -> None:
    """Train, publish, and print one line for each group of features."""
    progress = progress_on_stderr(quiet=False)
    opened = Dataset.open(dataset)
    trained = TrainingPipeline(read_config(None, settings), progress).train(opened)
    publish(trained, opened, Registry(models), "ablation", progress)
    print(f"{'ranker':<28} NDCG@20")
    for standing in trained.standings:
        print(f"{standing.name:<28} {standing.ndcg:.4f}{'  <- serves' if standing.chosen else ''}")
    names = trained.learned.lists.teach.inputs.feature_names
    whole = quality(trained.learned, np.arange(len(names)))
    print(f"{'features':<28} NDCG@20  lost without   standard error")
    print(f"{'all':<28} {whole.mean():.4f}")
    for group, places in groups(names):
        kept = np.setdiff1d(np.arange(len(names)), places)
        lost = whole - quality(trained.learned, kept)
        error = lost.std(ddof=1) / np.sqrt(len(lost))
        print(
            f"without {group:<20} {whole.mean() - lost.mean():.4f}   {lost.mean():+.4f}   {error:.4f}",
            flush=True,
        )


def groups(names: tuple[str, ...]) -> Iterator[tuple[str, IndexArray]]:
    """Each retriever's features, those of the content, and those of the history."""
    kind = np.array([name.split(":")[0] if ":" in name else _kind(name) for name in names])
    for one in dict.fromkeys(kind.tolist()):
        yield one, np.flatnonzero(kind == one).astype(np.int32)


def _kind(name: str) -> str:
    return "votes" if name == "votes" else "content cosines" if name.startswith("content_") else "history"


def quality(learned: LearnedBranch, features: IndexArray) -> FloatArray:
    """NDCG@20 of each listener by a blend of the simple rankers that read only these features."""
    lists = learned.lists
    teach, stop = (narrowed(part, features) for part in (lists.teach, lists.stop))
    asked = narrowed(joined(lists.choose, lists.judge), features)
    ranker = BlendRanker(lambda: [LogisticRanker(), BoostedRanker()]).fit(teach, stop)
    n_positives = np.concatenate([learned.answers.choose, learned.answers.judge])
    return validation_ndcg(ranker.score(asked.inputs), asked.labels[..., 0], n_positives=n_positives)


def narrowed(examples: RankingExamples, features: IndexArray) -> RankingExamples:
    """The lists with only the chosen features."""
    inputs = examples.inputs
    names = tuple(inputs.feature_names[place] for place in features.tolist())
    return replace(
        examples, inputs=replace(inputs, features=inputs.features[..., features], feature_names=names)
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
