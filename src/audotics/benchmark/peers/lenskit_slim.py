"""Sparse linear methods (Ning & Karypis, "SLIM", ICDM 2011) of ``lenskit`` 2025."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import polars as pl

from audotics.benchmark.peers.scoring import best_tracks
from audotics.benchmark.protocol import Resources, Settings
from audotics.data.interactions import Interactions
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.protocol import Choice, Range, SearchSpace


class LenskitSLIM:
    """``lenskit.knn.SLIMScorer``; asked for all listeners at once through its weights, not one by one."""

    defaults: ClassVar[Settings] = {"l1": 1.0, "l2": 1.0, "neighbours": 200}
    space: ClassVar[SearchSpace] = {
        "l1": Range(0.01, 10.0, log=True),
        "l2": Range(0.1, 300.0, log=True),
        "neighbours": Choice((50, 100, 200, 500)),
    }

    def __init__(self, settings: Settings, resources: Resources) -> None:
        from lenskit.knn import SLIMScorer
        from lenskit.parallel import initialize

        initialize(threads=resources.threads, backend_threads=resources.threads)
        self._scorer = SLIMScorer(
            l1_reg=settings["l1"], l2_reg=settings["l2"], max_nbrs=settings["neighbours"], max_iters=30
        )

    def fit(self, histories: Interactions) -> Self:
        """Learn one sparse regression per track."""
        from lenskit.data import from_interactions_df
        from lenskit.training import TrainingOptions

        self._histories = histories
        pairs = pl.DataFrame({"user_id": histories.row_index, "item_id": histories.track_index})
        self._scorer.train(from_interactions_df(pairs.to_pandas()), TrainingOptions(retrain=True))
        # The library numbers tracks anew, in the order of their ids, and leaves out those nobody heard.
        self._tracks = np.asarray(self._scorer.items.ids(), dtype=np.int64)
        self._matrix = histories.matrix()[:, self._tracks]
        return self

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """See `Peer`."""
        return best_tracks(self._score, self._histories, user_index, k, include_heard=include_heard)

    def _score(self, user_index: IndexArray) -> FloatArray:
        scores = np.full((len(user_index), self._histories.n_tracks), -np.inf, np.float32)
        scores[:, self._tracks] = (self._matrix[user_index] @ self._scorer.weights).toarray()
        return scores
