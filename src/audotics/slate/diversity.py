"""Diversity: relevance against likeness to what the slate already holds."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from audotics.domain import FloatArray, IndexArray
from audotics.slate.terms import CandidateTerms


class MarginalRelevance:
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    The next track maximises ``(1 - knob) * relevance - knob * max over taken tracks of cosine``.

    Args:
        vectors: ``[n_tracks, n]``, sparse or dense, rows of length 1 or 0.
        track_index: ``[batch, width]`` candidates, padded with -1.
        knob: 0 is relevance alone, 1 unlikeness alone.
    """

    def __init__(self, vectors: sparse.csr_matrix | FloatArray, track_index: IndexArray, knob: float) -> None:
        self._knob = knob
        self._nearest = np.zeros(track_index.shape, np.float32)
        self._likeness: _SparseLikeness | _DenseLikeness = (
            _SparseLikeness(CandidateTerms.of(vectors, track_index))
            if sparse.issparse(vectors)
            else _DenseLikeness(vectors[np.maximum(track_index, 0)])
        )

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return "diversity"

    @property
    def knob(self) -> float:
        """How much it counts."""
        return self._knob

    def penalty(self) -> FloatArray:
        """``[batch, width]``: cosine with the nearest track taken, at least 0."""
        return self._nearest

    def take(self, slots: IndexArray) -> None:
        """Measure the likeness of all candidates to the one taken."""
        np.maximum(self._nearest, self._likeness.to(slots), out=self._nearest)


class _SparseLikeness:
    def __init__(self, terms: CandidateTerms) -> None:
        self._terms = terms

    def to(self, slots: IndexArray) -> FloatArray:
        terms = self._terms
        taken = np.zeros(len(terms.column_keys), np.float32)
        entries = terms.entries_of(slots)
        taken[terms.column[entries]] = terms.value[entries]
        return terms.summed(terms.value * taken[terms.column])


class _DenseLikeness:
    def __init__(self, vectors: FloatArray) -> None:
        self._vectors = vectors

    def to(self, slots: IndexArray) -> FloatArray:
        taken = self._vectors[np.arange(len(slots)), slots]
        products: FloatArray = np.matmul(self._vectors, taken[:, :, None])[:, :, 0]
        return products
