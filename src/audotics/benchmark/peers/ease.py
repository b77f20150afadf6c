"""EASE, the linear autoencoder in closed form (Steck, "Embarrassingly shallow autoencoders", WWW 2019).

The method is its formula, so this is the formula and nothing else; libraries have the dense
``[n_tracks, n_tracks]`` form alone, too large for a large catalogue. With the histories ``X``,
``P = (X'X + l I)^-1`` and ``B = I - P diag(1 / diag P)`` the scores are ``X B``. Where there are fewer
listeners than tracks the same scores come from the smaller ``A = X X' + l I``: ``X P = A^-1 X`` and
``diag P = (1 - diag(X' A^-1 X)) / l``.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from audotics.benchmark.peers.implicit_models import PLAY_STRENGTH
from audotics.benchmark.peers.scoring import best_tracks
from audotics.benchmark.protocol import Resources, Settings
from audotics.data.interactions import Interactions
from audotics.domain import FloatArray, IndexArray
from audotics.errors import BadInputError
from audotics.retrieval.protocol import Range, SearchSpace
from audotics.retrieval.weighting import play_scale, play_weights

_DOUBLE_UP_TO = 10_000
"""Gram matrices up to this size are inverted in double precision."""


class DenseEASE:
    """EASE in whichever dense form is smaller."""

    defaults: ClassVar[Settings] = {"l2": 100.0, "play_strength": 0.0}
    space: ClassVar[SearchSpace] = {"l2": Range(1.0, 10_000.0, log=True), "play_strength": PLAY_STRENGTH}

    def __init__(self, settings: Settings, resources: Resources) -> None:
        del resources
        self._l2 = float(settings["l2"])
        self._strength = float(settings["play_strength"])

    def fit(self, histories: Interactions) -> Self:
        """Solve; memory and time grow with the square and cube of the smaller side.

        Raises:
            BadInputError: The matrices would not fit into this machine's memory.
        """
        self._histories = histories
        _refuse_what_does_not_fit(histories)
        weights = play_weights(histories.plays, play_scale(histories), self._strength)
        self._matrix = histories.matrix(weights)
        if histories.n_rows < histories.n_tracks:
            self._fit_over_listeners(self._matrix)
        else:
            self._fit_over_tracks(self._matrix)
        return self

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """See `Peer`."""
        return best_tracks(self._score, self._histories, user_index, k, include_heard=include_heard)

    def _fit_over_listeners(self, matrix: sparse.csr_matrix) -> None:
        precise = matrix.astype(_dtype(matrix.shape[0]))
        inverse = linalg.inv(_regularised((precise @ precise.T).toarray(), self._l2), overwrite_a=True)
        # The inverse is symmetric; a sparse factor on the left keeps the product sparse times dense.
        solved = (precise.T @ inverse).T
        diagonal = (1.0 - np.asarray(precise.multiply(solved).sum(axis=0)).ravel()) / self._l2
        self._projected: FloatArray | None = (solved / diagonal).astype(np.float32)

    def _fit_over_tracks(self, matrix: sparse.csr_matrix) -> None:
        precise = matrix.astype(_dtype(matrix.shape[1]))
        inverse = linalg.inv(_regularised((precise.T @ precise).toarray(), self._l2), overwrite_a=True)
        inverse /= -np.diag(inverse)
        np.fill_diagonal(inverse, 0.0)
        self._projected = None
        self._weights: FloatArray = inverse.astype(np.float32)

    def _score(self, user_index: IndexArray) -> FloatArray:
        rows = self._matrix[user_index]
        if self._projected is None:
            scores: FloatArray = rows @ self._weights
            return scores
        found: FloatArray = rows.toarray() - self._projected[user_index]
        return found


def _regularised(gram: npt.NDArray[Any], l2: float) -> npt.NDArray[Any]:
    gram[np.diag_indices_from(gram)] += l2
    return gram


def _dtype(size: int) -> type[np.float64] | type[np.float32]:
    return np.float64 if size <= _DOUBLE_UP_TO else np.float32


def _refuse_what_does_not_fit(histories: Interactions) -> None:
    small, large = sorted((histories.n_rows, histories.n_tracks))
    wide = large if histories.n_rows < histories.n_tracks else small
    item = np.dtype(_dtype(small)).itemsize
    needed = 2 * small * item * (small + wide)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > 0.8 * memory:
        raise BadInputError(
            f"EASE needs {needed / 2**30:.0f} GiB for {histories.n_rows:,} listeners and "
            f"{histories.n_tracks:,} tracks, this machine has {memory / 2**30:.0f}",
            where="ease",
            remedy="Leave it out of --against",
        )
