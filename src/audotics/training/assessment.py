"""Assessment of a published version on a given test, beside the retrievers it is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from audotics.data.corpus import build_corpus
from audotics.data.dataset import Dataset
from audotics.domain import PADDING, Mode, Query
from audotics.evaluation.baselines import OWN_MOST_PLAYED, most_played
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.report import EvaluationReport, Task
from audotics.evaluation.systems import Answerer
from audotics.recommender.candidates import best_of
from audotics.recommender.recommender import Recommender
from audotics.retrieval.popularity import Popularity
from audotics.retrieval.protocol import Retriever
from audotics.telemetry import Progress
from audotics.training.judging import HYBRID, with_popularity
from audotics.training.newcomers import judge_newcomers


def assess(
    recommender: Recommender,
    dataset: Dataset,
    test: pl.DataFrame,
    *,
    baselines: bool,
    task: Task,
    progress: Progress,
) -> EvaluationReport:
    """Ask a version for every listener of a test and measure the answers, then again as new listeners.

    Args:
        recommender: The version.
        dataset: What it was trained on.
        test: ``user_id`` and ``track_id`` of what was held out.
        baselines: Whether every retriever of the version, and popularity, are measured beside it.
            "Own most played" always is where heard tracks count, popularity for new listeners.
        task: What may be recommended and counts.
        progress: Who is told.

    Raises:
        BadInputError: The test has nothing that the task counts.
    """
    corpus = build_corpus(dataset.events().collect(), dataset.tracks(), dataset.users())
    evaluator = ModelEvaluator(corpus, test, task=task)
    discovering = with_popularity(recommender.unheard.generator.retrievers, corpus)
    systems: dict[str, Answerer] = {HYBRID: _Hybrid(recommender, task.mode)}
    if baselines:
        useful = discovering if task is Task.DISCOVER else with_popularity(recommender.retrievers, corpus)
        systems |= {found.name: _Single(recommender, found, task.mode) for found in useful}
    results = []
    for name, system in systems.items():
        with progress.stage(f"ask {name}", total=len(evaluator.user_ids)) as stage:
            results.append(evaluator.ask(name, system, on_progress=stage.advance))
    if task is not Task.DISCOVER:
        own = most_played(corpus.interactions.rows(evaluator.user_index), evaluator.k)
        results.append(evaluator.evaluate(OWN_MOST_PLAYED, own))
    with progress.stage("ask for new listeners"):
        beside = [one for one in discovering if baselines or isinstance(one, Popularity)]
        newcomers = judge_newcomers(evaluator, recommender, corpus, beside, HYBRID)
    return evaluator.report(results, HYBRID, newcomers=newcomers)


class _Hybrid:
    """The whole system as an answerer."""

    def __init__(self, recommender: Recommender, mode: Mode) -> None:
        self._recommender = recommender
        self._mode = mode

    def __call__(self, user_ids: Sequence[str], k: int, /) -> list[list[str]]:
        queries = [Query(user_id=user_id, k=k, mode=self._mode) for user_id in user_ids]
        batch, allowed = self._recommender.encode(queries)
        return _ids(self._recommender, self._recommender.recommend_indices(batch, allowed, k))


class _Single:
    """One retriever alone as an answerer."""

    def __init__(self, recommender: Recommender, retriever: Retriever, mode: Mode) -> None:
        self._recommender = recommender
        self._retriever = retriever
        self._mode = mode

    def __call__(self, user_ids: Sequence[str], k: int, /) -> list[list[str]]:
        queries = [Query(user_id=user_id, k=k, mode=self._mode) for user_id in user_ids]
        batch, allowed = self._recommender.encode(queries)
        return _ids(self._recommender, best_of(self._retriever, batch, allowed, k))


def _ids(recommender: Recommender, lists: np.ndarray) -> list[list[str]]:
    ids = recommender.tracks.ids
    return [[ids[track] for track in row if track != PADDING] for row in lists.tolist()]
