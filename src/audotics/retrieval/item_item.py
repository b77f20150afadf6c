"""Retrievers whose whole model is one sparse matrix from heard tracks to proposed tracks."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import sparse

from audotics.data.compressed import Compressed, product
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray, TimeArray
from audotics.retrieval.learned import LearnedRetriever, strongest_tracks
from audotics.retrieval.protocol import Arrays, Choice, Explanation, RetrieverConfig, SearchSpace
from audotics.retrieval.top_k import guessed_cuts
from audotics.retrieval.weighting import HALF_LIFE, HistoryWeights, play_scale, play_weights, weighting_arrays

ConfigT = TypeVar("ConfigT", bound=RetrieverConfig)


class ItemItemRetriever(LearnedRetriever[ConfigT]):
    """Score of a track = sum over the history of (weight of the heard track) x (its weight to this track).

    The learned arrays hold the weights as ``indptr``, ``indices`` and ``weights`` of a compressed matrix
    ``[n_tracks, n_tracks]`` from heard (row) to proposed tracks (column), see `weight_arrays`.
    """

    @abstractmethod
    def history(self, histories: Interactions) -> Compressed:
        """How much each heard track counts ``[batch, n_tracks]``, entries in the order of ``histories``."""

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``."""
        return self.compact_scores(batch).toarray()

    def compact_scores(self, batch: QueryBatch) -> Compressed:
        """The same, compressed: most tracks are no neighbours of any in the history."""
        return product(self.history(batch.histories), self._weights())

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The history track that adds most to the score."""
        shares = self._weights().found(query.histories.track_index, track_index)
        shares *= self.history(query.histories).data
        return strongest_tracks(query.histories, shares, track_index)

    def _weights(self) -> Compressed:
        arrays = self.arrays()
        return Compressed.of(arrays, len(arrays["indptr"]) - 1, ("weights", "indices", "indptr"))


class ItemItemConfig(RetrieverConfig):
    """Settings of item-item retrievers that learn from who plays what, in no order."""

    n_neighbours: int = Field(200, ge=1)
    """Tracks kept for each heard track, those with the largest weights."""
    play_strength: float = Field(0.0, ge=0)
    """How much repeated plays count in learning the weights, see `play_weights`."""
    history_strength: float = Field(0.3, ge=0)
    """How much repeated plays count in the history of a query, see `play_weights`."""
    half_life: float | None = Field(None, gt=0)
    """Tracks after which a play in the history counts half, where there is order; see `recency_weights`."""


STRENGTHS: SearchSpace = {
    "play_strength": Choice((0.0, 0.3, 1.0)),
    "history_strength": Choice((0.0, 0.3, 1.0)),
    "half_life": HALF_LIFE,
}
"""Where tuning looks for the settings that all of these retrievers share."""

ItemItemConfigT = TypeVar("ItemItemConfigT", bound=ItemItemConfig)


class CoListeningRetriever(ItemItemRetriever[ItemItemConfigT]):
    """An item-item retriever that learns from who plays what.

    Subclasses say how the weights are learned (`weigh`).
    """

    config_type: ClassVar[type[RetrieverConfig]] = ItemItemConfig

    @abstractmethod
    def weigh(self, plays: sparse.csr_matrix) -> sparse.csr_matrix:
        """Weights from heard (row) to proposed tracks (column), diagonal included or not.

        Args:
            plays: ``[n_users, n_tracks]``, weights of plays; indices sorted.

        Returns:
            ``[n_tracks, n_tracks]`` with at most ``n_neighbours`` entries a row beside the diagonal.
        """

    def learn(self, corpus: Corpus) -> Arrays:
        """Learn the weights; a track never argues for itself."""
        interactions = corpus.interactions
        scale, strength = play_scale(interactions), self.config.play_strength
        plays = interactions.matrix(play_weights(interactions.plays, scale, strength))
        plays.sort_indices()
        return {**weight_arrays(self.weigh(plays)), **weighting_arrays(interactions)}

    def history(self, histories: Interactions) -> Compressed:
        """Weights of the history by plays and recency."""
        config = self.config
        weights = HistoryWeights.learned(self.arrays(), config.history_strength, config.half_life)
        return weights.rows(histories)


def weight_arrays(weights: sparse.csr_matrix) -> Arrays:
    """Learned arrays of weights ``[n_tracks, n_tracks]``, without the diagonal and explicit zeros."""
    kept = without_diagonal(weights)
    return {"indptr": kept.indptr, "indices": kept.indices, "weights": kept.data}


def without_diagonal(weights: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same weights with no entry from a track to itself, indices sorted, no explicit zeros."""
    entries = weights.tocoo()
    keep = (entries.row != entries.col) & (entries.data != 0)
    parts = (entries.data[keep], (entries.row[keep], entries.col[keep]))
    kept = sparse.csr_matrix(parts, shape=weights.shape, dtype=np.float32)
    kept.sort_indices()
    return kept


def largest_of_rows(weights: sparse.csr_matrix, n: int) -> sparse.csr_matrix:
    """The same weights with only the ``n`` of largest magnitude in each row."""
    kept, rows = largest_entries(np.abs(weights.data), weights.indices, weights.indptr, n)
    parts = (weights.data[kept], (rows, weights.indices[kept]))
    return sparse.csr_matrix(parts, shape=weights.shape)


def largest_entries(
    magnitudes: FloatArray, columns: IndexArray, indptr: npt.NDArray[np.integer[Any]], n: int
) -> tuple[TimeArray, TimeArray]:
    """Places of the ``n`` largest entries of each compressed row, row after row, and the row of each.

    Of equals those in the first columns are kept.

    Args:
        magnitudes: ``[nnz]``.
        columns: ``[nnz]``.
        indptr: ``[n_rows + 1]``, where each row starts.
        n: Entries kept in each row.
    """
    lengths = (indptr[1:] - indptr[:-1]).astype(np.int64)
    rows = np.arange(len(lengths)).repeat(lengths)
    # Sorting the few that may be kept is cheaper than sorting all.
    cuts = guessed_cuts(magnitudes, indptr.astype(np.int64), np.full(len(lengths), n))
    passing = magnitudes >= cuts.repeat(lengths)
    short = np.bincount(rows[passing], minlength=len(lengths)) < np.minimum(n, lengths)
    if short.any():
        passing |= short[rows]
    candidates = passing.nonzero()[0]
    order = candidates[np.lexsort((columns[candidates], -magnitudes[candidates], rows[candidates]))]
    counts = np.bincount(rows[candidates], minlength=len(lengths))
    place = np.arange(len(order)) - (counts.cumsum() - counts).repeat(counts)
    kept = order[place < n]
    return kept, rows[kept]


def top_products(left: sparse.csr_matrix, right: sparse.csr_matrix, n: int) -> sparse.csr_matrix:
    """The ``n`` largest entries of each row of ``left @ right``, which is never held as a whole.

    Args:
        left: ``[n_rows, n_inner]``, entries at least 0.
        right: ``[n_inner, n_columns]``, entries at least 0.
        n: Entries kept in each row.
    """
    # Learning only: loading and scoring a stored retriever must not need this library.
    from sparse_dot_topn import sp_matmul_topn  # type: ignore[import-untyped]

    keep = min(n, right.shape[1])
    product = sp_matmul_topn(left, right, top_n=keep, sort=False, n_threads=os.cpu_count() or 1)
    return sparse.csr_matrix(product)


def with_data(matrix: sparse.csr_matrix, data: npt.NDArray[np.floating]) -> sparse.csr_matrix:
    """The same pairs with other values, as float32."""
    return sparse.csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
