"""Judging: the whole system beside every single retriever, on listeners that took part in no choice."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.domain import IndexArray
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.report import EvaluationReport, Task
from audotics.ranking.protocol import Ranker, RankingInputs
from audotics.recommender.candidates import CandidateGenerator, blocks
from audotics.recommender.recommender import best_candidates
from audotics.retrieval.protocol import top_k
from audotics.training.fold import Fold

HYBRID = "audotics"
"""Name of the whole system among the systems of a report."""


def judge(
    fold: Fold, generator: CandidateGenerator, ranker: Ranker, inputs: RankingInputs, seed: int
) -> EvaluationReport:
    """Evaluate the hybrid and, with their tuned settings, the retrievers that it is made of.

    Args:
        fold: The judging listeners.
        generator: Retrievers fitted on what is visible.
        ranker: The winner of the contest.
        inputs: The candidate lists of the same listeners.
        seed: Seed of the resampling.
    """
    evaluator = ModelEvaluator(
        fold.visible,
        _test_table(fold),
        task=Task.INCLUDE_HEARD if fold.include_heard else Task.DISCOVER,
        seed=seed,
    )
    lists = {HYBRID: best_candidates(ranker.score(inputs), inputs.track_index, evaluator.k)[0]}
    lists |= _retriever_lists(fold, generator, evaluator.k)
    row_of = np.full(fold.corpus.n_users, -1)
    row_of[fold.batch.user_index] = np.arange(fold.batch.size)
    rows = row_of[evaluator.user_index]
    results = [evaluator.evaluate(name, found[rows]) for name, found in lists.items()]
    return evaluator.report(results, HYBRID)


def _test_table(fold: Fold) -> pl.DataFrame:
    played = fold.hidden.filter("play")
    users = np.asarray(fold.corpus.users.ids)[fold.batch.user_index[played["row"].to_numpy()]]
    tracks = np.asarray(fold.corpus.tracks.ids)[played["track_index"].to_numpy()]
    return pl.DataFrame({"user_id": users, "track_id": tracks})


def _retriever_lists(fold: Fold, generator: CandidateGenerator, k: int) -> dict[str, IndexArray]:
    parts: dict[str, list[IndexArray]] = {retriever.name: [] for retriever in generator.retrievers}
    for start, stop in blocks(fold.batch.size, fold.corpus.n_tracks):
        batch = fold.batch.part(start, stop)
        forbidden = fold.allowed.part(start, stop).mask(batch)
        for retriever in generator.retrievers:
            scores = retriever.score(batch)
            scores[forbidden] = -np.inf
            parts[retriever.name].append(top_k(scores, k))
    return {name: np.concatenate(found) for name, found in parts.items()}
