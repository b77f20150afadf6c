"""Random walks of three steps between listeners and tracks, damped by popularity."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import sparse

from audotics.retrieval.item_item import STRENGTHS, CoListeningRetriever, ItemItemConfig, top_products
from audotics.retrieval.protocol import Choice, Portfolio, Range, RetrieverConfig, SearchSpace


class RP3BetaConfig(ItemItemConfig):
    """Settings of `RP3Beta`."""

    alpha: float = Field(0.5, gt=0)
    """Power of each transition probability."""
    beta: float = Field(0.25, ge=0)
    """Power of a track's popularity that its weight is divided by."""


class RP3Beta(CoListeningRetriever[RP3BetaConfig]):
    """Probability of walking from a heard track over one of its listeners to another track.

        w_jt = sum over listeners u of p(u | j)^alpha p(t | u)^alpha / listeners(t)^beta

    Sources: Paudel, Christoffel, Newell, Bernstein, "Updatable, Accurate, Diverse, and Scalable
    Recommendations for Interactive Applications" (2017); Cooper et al., "Random Walks in Recommender
    Systems" (2014) for alpha.
    """

    name: ClassVar[str] = "rp3beta"
    config_type: ClassVar[type[RetrieverConfig]] = RP3BetaConfig
    space: ClassVar[SearchSpace] = {
        **STRENGTHS,
        "n_neighbours": Choice((100, 200, 500)),
        "alpha": Range(0.2, 1.5),
        "beta": Range(0.0, 0.9),
    }
    portfolio: ClassVar[Portfolio] = ({"half_life": 30.0, "history_strength": 1.0},)

    def weigh(self, plays: sparse.csr_matrix) -> sparse.csr_matrix:
        """The tracks that walks from each track end at most often."""
        to_users = _transition_powers(plays.T.tocsr(), self.config.alpha)
        to_tracks = _transition_powers(plays, self.config.alpha)
        listeners = np.bincount(plays.indices, minlength=plays.shape[1])
        damping = np.maximum(listeners, 1).astype(np.float32) ** -np.float32(self.config.beta)
        to_tracks.data *= damping[to_tracks.indices]
        # One more than asked for: many walks end where they began.
        return top_products(to_users, to_tracks, self.config.n_neighbours + 1)


def _transition_powers(matrix: sparse.csr_matrix, alpha: float) -> sparse.csr_matrix:
    """Rows divided by their sums, each entry to the power alpha."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    data = (matrix.data / np.repeat(sums, np.diff(matrix.indptr))) ** alpha
    return sparse.csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
