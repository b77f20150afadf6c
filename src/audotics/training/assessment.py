"""Assessment of a published version on a given test, beside the retrievers it is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from audotics.data.corpus import build_corpus
from audotics.data.dataset import Dataset
from audotics.domain import PADDING, Mode, Query
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.report import EvaluationReport, Task
from audotics.evaluation.systems import Answerer
from audotics.recommender.candidates import best_of
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever
from audotics.retrieval.protocol import Retriever
from audotics.telemetry import Progress
from audotics.training.judging import HYBRID

POPULARITY = "popularity"


def assess(
    recommender: Recommender,
    dataset: Dataset,
    test: pl.DataFrame,
    *,
    baselines: bool,
    include_heard: bool,
    progress: Progress,
) -> EvaluationReport:
    """Ask a version for every listener of a test and measure the answers.

    Args:
        recommender: The version.
        dataset: What it was trained on.
        test: ``user_id`` and ``track_id`` of what was held out.
        baselines: Whether every retriever of the version, and popularity, are measured beside it.
        include_heard: Whether tracks heard in training may be recommended and count.
        progress: Who is told.
    """
    corpus = build_corpus(dataset.events().collect(), dataset.tracks(), dataset.users())
    mode = Mode.MIX if include_heard else Mode.DISCOVER
    task = Task.INCLUDE_HEARD if include_heard else Task.DISCOVER
    evaluator = ModelEvaluator(corpus, test, task=task)
    systems: dict[str, Answerer] = {HYBRID: _Hybrid(recommender, mode)}
    if baselines:
        retrievers = {retriever.name: retriever for retriever in recommender.generator.retrievers}
        if POPULARITY not in retrievers:
            retrievers[POPULARITY] = new_retriever(POPULARITY, {}).fit(corpus)
        systems |= {name: _Single(recommender, found, mode) for name, found in retrievers.items()}
    results = []
    for name, system in systems.items():
        with progress.stage(f"ask {name}", total=len(evaluator.user_ids)) as stage:
            results.append(evaluator.ask(name, system, on_progress=stage.advance))
    return evaluator.report(results, HYBRID)


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
