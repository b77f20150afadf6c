"""Nearest tracks by who plays them, with the classic weightings of information retrieval."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import sparse

from audotics.domain import FloatArray
from audotics.retrieval.item_item import (
    STRENGTHS,
    CoListeningRetriever,
    ItemItemConfig,
    top_products,
    with_data,
)
from audotics.retrieval.protocol import Choice, Portfolio, Range, RetrieverConfig, SearchSpace


class Weighting(StrEnum):
    """How a listener's play of a track is weighted before tracks are compared."""

    BM25 = "bm25"
    """Okapi BM25: saturating plays, rare listeners' long histories count less. Compared by inner product."""
    TFIDF = "tfidf"
    """Square root of plays times inverse track frequency. Compared by cosine."""
    COSINE = "cosine"
    """Plays as they are. Compared by cosine."""


class ItemKNNConfig(ItemItemConfig):
    """Settings of `ItemKNN`."""

    play_strength: float = Field(0.3, ge=0)
    weighting: Weighting = Weighting.COSINE
    k1: float = Field(1.2, ge=0)
    """BM25: plays needed to saturate."""
    b: float = Field(0.75, ge=0, le=1)
    """BM25: how much a long history weakens each of its plays."""
    shrinkage: float = Field(10.0, ge=0)
    """Cosine and TF-IDF: added to the product of norms, so that tracks of two listeners are not twins."""


class ItemKNN(CoListeningRetriever[ItemKNNConfig]):
    """Weighted nearest neighbours between the listener columns of tracks.

    Here a listener is the "document" and a track the "term", so a track that everyone plays has a low
    inverse frequency and proposes little.

    Sources: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009);
    Deshpande, Karypis, "Item-Based Top-N Recommendation Algorithms" (2004).
    """

    name: ClassVar[str] = "item-knn"
    config_type: ClassVar[type[RetrieverConfig]] = ItemKNNConfig
    space: ClassVar[SearchSpace] = {
        **STRENGTHS,
        "weighting": Choice(tuple(Weighting)),
        "n_neighbours": Choice((50, 200, 500)),
        "k1": Range(0.1, 100.0, log=True),
        "b": Range(0.0, 1.0),
        "shrinkage": Range(0.1, 100.0, log=True),
    }
    portfolio: ClassVar[Portfolio] = ({"half_life": 30.0, "history_strength": 1.0},)

    def weigh(self, plays: sparse.csr_matrix) -> sparse.csr_matrix:
        """The nearest tracks of each track."""
        weighted = self._bm25(plays) if self.config.weighting is Weighting.BM25 else self._unit_columns(plays)
        # One more than asked for: the track itself is among its nearest.
        return top_products(weighted.T.tocsr(), weighted, self.config.n_neighbours + 1)

    def _bm25(self, plays: sparse.csr_matrix) -> sparse.csr_matrix:
        """``idf x (k1 + 1) / (k1 (1 - b + b length / mean length) + plays)`` of each pair."""
        lengths: FloatArray = np.asarray(plays.sum(axis=1), dtype=np.float32).ravel()
        relative = lengths / (float(lengths.mean()) or 1.0)
        slack = self.config.k1 * (1.0 - self.config.b + self.config.b * relative)
        rows = np.repeat(slack, np.diff(plays.indptr))
        saturated = plays.data * (self.config.k1 + 1.0) / (rows + plays.data)
        return with_data(plays, saturated * _inverse_frequency(plays)[plays.indices])

    def _unit_columns(self, plays: sparse.csr_matrix) -> sparse.csr_matrix:
        """Columns divided by their (shrunk) norm, so that inner products are cosines."""
        data: npt.NDArray[np.floating] = plays.data
        if self.config.weighting is Weighting.TFIDF:
            data = np.sqrt(data) * _inverse_frequency(plays)[plays.indices]
        squares = np.bincount(plays.indices, weights=data * data, minlength=plays.shape[1])
        # Shrinking both norms keeps one matrix: (|a|^2 + s)^1/2 (|b|^2 + s)^1/2 in place of |a||b| + s.
        norms = np.sqrt(squares + self.config.shrinkage)
        return with_data(plays, data / norms[plays.indices])


def _inverse_frequency(plays: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    """``ln(n_users / (1 + listeners))`` of each track ``[n_tracks]``, kept above 0."""
    listeners = np.bincount(plays.indices, minlength=plays.shape[1])
    frequency: npt.NDArray[np.float64] = np.log(plays.shape[0]) - np.log1p(listeners)
    return np.maximum(frequency, 1e-3)
