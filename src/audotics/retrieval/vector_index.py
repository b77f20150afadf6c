"""Large inner products among many vectors: short forms tell where to look, measured recall how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.top_k import top_k

LEAST_VECTORS = 50_000
"""With fewer vectors comparing all of them is as fast."""

LEAST_RECALL = 0.98
"""Share of the best that must be found; else all vectors are compared."""

JUDGED_BEST = 200
"""How many of the best recall counts."""

MOST_QUERIES = 256
"""Queries that recall is measured on."""

CHOICES = (
    (8, 2000),
    (12, 2000),
    (16, 1000),
    (16, 2000),
    (20, 2000),
    (24, 2000),
    (32, 1000),
    (32, 2000),
    (32, 8000),
    (64, 4000),
)
"""Numbers of each vector that are compared and how many vectors are then looked at, cheapest first."""

_SAMPLED_KEPT = 25
"""About how many of the vectors to be kept are in the sample that guesses where to cut."""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Compares short forms of all vectors first, and whole vectors where those are promising.

    The short form is the projection on the leading principal axes of the vectors: no other projection to as
    few numbers keeps more of the inner products (Eckart and Young 1936). Factors of listening have few
    strong axes, so sixteen numbers of 256 find nearly all of the best two hundred. What is found has its
    exact score, something may be missed: the recall on listeners of the training data decides the length.

    Args:
        axes: ``[dim, n_short]``.
        short: ``[n_short, n]``, projected vectors side by side.
        n_kept: About how many vectors are looked at.
        recall: Share of the `JUDGED_BEST` best that was found on the queries it was measured on.
    """

    axes: FloatArray
    short: FloatArray
    n_kept: int
    recall: float

    @classmethod
    def built(cls, vectors: FloatArray, queries: FloatArray) -> Self | None:
        """The cheapest of `CHOICES` with `LEAST_RECALL`; None where none has it.

        Args:
            vectors: ``[n, dim]``.
            queries: ``[m, dim]``, such as will be asked; the first `MOST_QUERIES` judge.
        """
        asked = queries[:MOST_QUERIES]
        if len(vectors) < LEAST_VECTORS or not len(asked):
            return None
        _, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
        axes = axes[:, ::-1].astype(np.float32)
        rows_at_once = range(0, len(asked), 16)
        best = np.concatenate([top_k(asked[at : at + 16] @ vectors.T, JUDGED_BEST) for at in rows_at_once])
        for n_short, n_kept in CHOICES:
            if n_short > vectors.shape[1] // 2 or n_kept > len(vectors) // 4:
                continue
            leading = np.ascontiguousarray(axes[:, :n_short])
            index = cls(leading, np.ascontiguousarray(leading.T @ vectors.T), n_kept, 0.0)
            found = [np.isin(row, index.near(query)).mean() for row, query in zip(best, asked, strict=True)]
            if np.mean(found) >= LEAST_RECALL:
                return cls(leading, index.short, n_kept, float(np.mean(found)))
        return None

    def near(self, query: FloatArray, n_more: int = 0) -> IndexArray:
        """Numbers of the vectors that are compared with a query ``[dim]``, ascending.

        Args:
            query: ``[dim]``.
            n_more: How many more than usual, where some will be left out.
        """
        n, wanted = self.short.shape[1], self.n_kept + n_more
        if n <= wanted or not query.any():
            # Where nothing is known of a query all vectors are equal, and equals stand in their order.
            return np.arange(min(n, wanted), dtype=np.int32)
        promise = (query @ self.axes) @ self.short
        step = max(1, wanted // _SAMPLED_KEPT)
        sample = np.sort(promise[::step])
        # A little more than wanted, so that hardly ever less is found.
        place = int(1.3 * wanted / step) + 1
        guess = sample[-place] if place < len(sample) else -np.inf
        near: IndexArray = (promise > guess).nonzero()[0].astype(np.int32)
        return near

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as plain arrays, their names beginning with ``index_``."""
        return {
            "index_axes": self.axes,
            "index_short": self.short,
            "index_kept": np.array([self.n_kept], np.int32),
            "index_recall": np.array([self.recall], np.float32),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self | None:
        """From what `arrays` gave, among other arrays; None where there is no index."""
        if "index_axes" not in arrays:
            return None
        n_kept, recall = int(arrays["index_kept"][0]), float(arrays["index_recall"][0])
        return cls(arrays["index_axes"], arrays["index_short"], n_kept, recall)
