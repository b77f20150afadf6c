"""Judging: the whole system beside every single retriever, on listeners that took part in no choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from audotics.data.corpus import Corpus
from audotics.domain import Mode
from audotics.evaluation.baselines import OWN_MOST_PLAYED, most_played
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.heads import HeadMetrics, evaluate_heads
from audotics.evaluation.report import EvaluationReport, Task
from audotics.ranking.deep import DeepRanker
from audotics.ranking.protocol import Ranker, RankingExamples
from audotics.recommender.candidates import CandidateGenerator, best_of
from audotics.recommender.filling import best_candidates
from audotics.recommender.recommender import Recommender
from audotics.retrieval.popularity import Popularity
from audotics.retrieval.protocol import Retriever
from audotics.training.fold import Fold
from audotics.training.newcomers import judge_newcomers

HYBRID = "audotics"
"""Name of the whole system among the systems of a report."""


def judge(
    fold: Fold,
    generator: CandidateGenerator,
    rankers: Sequence[Ranker],
    winner: Ranker,
    examples: RankingExamples,
    seed: int,
    *,
    recommender: Recommender,
) -> EvaluationReport:
    """Evaluate the hybrid and, with their tuned settings, the retrievers that it is made of.

    The deep ranker's probabilities and learning curves are told whether or not it won. Where heard tracks
    count, what each listener played most stands beside them.

    Args:
        fold: The judging listeners.
        generator: Retrievers fitted on what is visible.
        rankers: All that competed.
        winner: The one that serves.
        examples: The labelled candidate lists of the same listeners.
        seed: Seed of the resampling.
        recommender: The whole system, knowing what is visible; answers for new listeners.
    """
    evaluator = ModelEvaluator(
        fold.visible,
        _test_table(fold),
        task=Task(fold.mode),
        seed=seed,
    )
    row_of = np.full(fold.corpus.n_users, -1)
    row_of[fold.batch.user_index] = np.arange(fold.batch.size)
    rows = row_of[evaluator.user_index]
    deep = next((ranker for ranker in rankers if isinstance(ranker, DeepRanker)), None)
    ranked = {HYBRID: winner} if deep in (None, winner) else {HYBRID: winner, "deep ranker": deep}
    results = []
    for name, ranker in ranked.items():
        if name == HYBRID and recommender.unheard.new is not None:
            # What serves has new tracks among the known ones, which the labelled lists do not.
            lists = recommender.recommend_indices(fold.batch, fold.allowed, evaluator.k)
        else:
            scores = ranker.score(examples.inputs)
            lists = best_candidates(scores, examples.inputs.track_index, evaluator.k)[0]
        heads = _head_quality(ranker, examples) if ranker is deep else None
        results.append(evaluator.evaluate(name, lists[rows], heads=heads))
    for retriever in generator.retrievers:
        lists = best_of(retriever, fold.batch, fold.allowed, evaluator.k)
        results.append(evaluator.evaluate(retriever.name, lists[rows]))
    if fold.mode is not Mode.DISCOVER:
        own = most_played(fold.visible.interactions.rows(evaluator.user_index), evaluator.k)
        results.append(evaluator.evaluate(OWN_MOST_PLAYED, own))
    retrievers = with_popularity(generator.retrievers, fold.visible)
    newcomers = judge_newcomers(evaluator, recommender, fold.visible, retrievers, HYBRID)
    return evaluator.report(results, HYBRID, learning_curves=_curves(deep), newcomers=newcomers)


def with_popularity(retrievers: Sequence[Retriever], corpus: Corpus) -> list[Retriever]:
    """The retrievers, and popularity with its defaults where it is not among them."""
    if any(isinstance(retriever, Popularity) for retriever in retrievers):
        return list(retrievers)
    return [*retrievers, Popularity().fit(corpus)]


def _head_quality(ranker: DeepRanker, examples: RankingExamples) -> dict[str, HeadMetrics]:
    chances = ranker.probabilities(examples.inputs)
    labels = np.where(examples.inputs.present[:, :, None], examples.labels, np.nan)
    stacked = np.stack([chances[head] for head in examples.heads], axis=-1)
    return evaluate_heads(stacked, labels, examples.heads)


def _curves(deep: DeepRanker | None) -> dict[str, list[float]]:
    if deep is None:
        return {}
    curves = {
        "two-tower validation loss": deep.history_.pretraining_loss,
        "ranking loss": deep.history_.loss,
        "validation NDCG@20": deep.history_.validation_ndcg,
    }
    return {name: values for name, values in curves.items() if values}


def _test_table(fold: Fold) -> pl.DataFrame:
    played = fold.hidden.filter("play")
    users = np.asarray(fold.corpus.users.ids)[fold.batch.user_index[played["row"].to_numpy()]]
    tracks = np.asarray(fold.corpus.tracks.ids)[played["track_index"].to_numpy()]
    return pl.DataFrame({"user_id": users, "track_id": tracks})
