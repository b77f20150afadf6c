"""Scores that are inner products of two vectors, and perhaps a few entries more, before they are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audotics.data.compressed import Compressed
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.vector_index import VectorIndex


@dataclass(frozen=True, slots=True)
class InnerProducts:
    """``queries @ vectors.T`` plus stored entries: what a few queries never need as a whole.

    Args:
        queries: ``[batch, dim]``.
        vectors: ``[n_tracks, dim]``.
        index: Where to look for large products.
        entries: ``[batch, n_tracks]``, added to the products; none below 0.
    """

    queries: FloatArray
    vectors: FloatArray
    index: VectorIndex
    entries: Compressed | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and tracks."""
        return len(self.queries), len(self.vectors)

    def part(self, start: int, stop: int) -> InnerProducts:
        """The queries ``start`` to ``stop``."""
        entries = None if self.entries is None else self.entries.part(start, stop)
        return InnerProducts(self.queries[start:stop], self.vectors, self.index, entries)

    def toarray(self) -> FloatArray:
        """All scores ``[batch, n_tracks]``."""
        scores: FloatArray = self.queries @ self.vectors.T
        if self.entries is not None:
            rows = np.arange(len(scores)).repeat(self.entries.lengths)
            scores[rows, self.entries.indices] += self.entries.data
        return scores

    def near(self, row: int, n_more: int = 0) -> IndexArray:
        """Tracks among which one query's best are looked for, ascending, each once.

        Args:
            row: Which query.
            n_more: How many more than usual, where some will be left out.
        """
        near = self.index.near(self.queries[row], n_more)
        if self.entries is None:
            return near
        near = np.sort(np.concatenate([near, self._entries_of(row).indices]))
        fresh = np.ones(len(near), np.bool_)
        fresh[1:] = near[1:] != near[:-1]
        distinct: IndexArray = near[fresh]
        return distinct

    def at(self, row: int, track_index: IndexArray) -> FloatArray:
        """One query's scores of some tracks ``[n]``, which ascend."""
        scores: FloatArray = self.vectors.take(track_index, axis=0) @ self.queries[row]
        if self.entries is not None and self.entries.nnz and len(track_index):
            entries = self._entries_of(row)
            place = np.minimum(track_index.searchsorted(entries.indices), len(track_index) - 1)
            wanted = track_index[place] == entries.indices
            scores[place[wanted]] += entries.data[wanted]
        return scores

    def _entries_of(self, row: int) -> Compressed:
        if self.entries is None:
            raise ValueError("there are no entries")
        return self.entries.part(row, row + 1)
