"""What the models of the library ``implicit`` share: how they are fed, fitted and asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from audotics.benchmark.protocol import Resources, Settings, padded
from audotics.data.interactions import Interactions
from audotics.domain import PADDING, IndexArray
from audotics.retrieval.protocol import Choice, SearchSpace
from audotics.retrieval.weighting import play_scale, play_weights

PLAY_STRENGTH = Choice((0.0, 0.3, 1.0, 3.0, 10.0))
"""How much repeated plays weigh (`play_weights`); 0 looks at who heard what alone."""

LISTENERS_PER_CALL = 4096


class ImplicitModel(ABC):
    """A model of ``implicit`` 0.7 behind the `Peer` protocol.

    Args:
        settings: Of the class's ``defaults``.
        resources: Threads and seed.
    """

    defaults: ClassVar[Settings]
    space: ClassVar[SearchSpace]

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self._settings = dict(settings)
        self._resources = resources
        # The library warns unless the linear algebra under its own threads has one; it is right.
        with threadpool_limits(1, "blas"):
            self._new_model()

    @abstractmethod
    def _new_model(self) -> Any:
        """An unfitted model with the settings."""

    def fit(self, histories: Interactions) -> Self:
        """Fit on the listeners' tracks, weighted by ``play_strength``."""
        strength = self._settings.get("play_strength", 0.0)
        weights = play_weights(histories.plays, play_scale(histories), strength)
        self._matrix: sparse.csr_matrix = histories.matrix(weights)
        self._matrix.sort_indices()
        with threadpool_limits(1, "blas"):
            self._model = self._new_model()
            self._model.fit(self._matrix, show_progress=False)
        return self

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """See `Peer`."""
        parts = [np.zeros((0, k), np.int32)]
        wanted = min(k, self._matrix.shape[1])
        for start in range(0, len(user_index), LISTENERS_PER_CALL):
            asked = user_index[start : start + LISTENERS_PER_CALL]
            with threadpool_limits(1, "blas"):
                tracks, scores = self._model.recommend(
                    asked, self._matrix[asked], N=wanted, filter_already_liked_items=not include_heard
                )
            # Tracks that were filtered out come back with the lowest float as their score.
            nothing = scores <= np.finfo(np.float32).min
            parts.append(padded(np.where(nothing, PADDING, tracks), k))
        return np.concatenate(parts)
