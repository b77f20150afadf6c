"""The terms of all candidates of a batch as one flat list, so that every place costs one pass over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audotics.domain import FloatArray, IndexArray

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CandidateTerms:
    """Sparse rows of candidates; a column belongs to one request, so state is a vector over columns.

    Args:
        candidate: ``[n]``: flat place of the candidate in ``[batch, width]``, ascending.
        column: ``[n]``: number of (request, term), dense over those that occur.
        value: ``[n]``.
        column_keys: ``[n_columns]``: request times ``n_terms`` plus term, ascending.
        starts: ``[batch * width + 1]``: where each candidate's entries begin.
        shape: ``(batch, width)``.
    """

    candidate: Integers
    column: Integers
    value: FloatArray
    column_keys: Integers
    starts: Integers
    shape: tuple[int, int]

    @classmethod
    def of(cls, matrix: sparse.csr_matrix, track_index: IndexArray) -> CandidateTerms:
        """The rows of ``matrix [n_tracks, n_terms]`` for candidates ``[batch, width]``, -1 has no terms."""
        flat = track_index.ravel()
        safe = np.maximum(flat, 0)
        first = matrix.indptr[safe].astype(np.int64)
        lengths = np.where(flat >= 0, matrix.indptr[safe + 1] - first, 0)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.repeat(first - starts[:-1], lengths) + np.arange(starts[-1])
        candidate = np.repeat(np.arange(len(flat)), lengths)
        request = candidate // max(1, track_index.shape[1])
        keys = request * matrix.shape[1] + matrix.indices[entries].astype(np.int64)
        column_keys, column = np.unique(keys, return_inverse=True)
        shape = (track_index.shape[0], track_index.shape[1])
        return cls(candidate, column, matrix.data[entries], column_keys, starts, shape)

    def entries_of(self, slots: IndexArray) -> Integers:
        """Numbers of the entries of one candidate of each request ``[batch]``."""
        flat = np.arange(self.shape[0]) * self.shape[1] + slots
        lengths = self.starts[flat + 1] - self.starts[flat]
        ends = np.cumsum(lengths)
        numbers: Integers = np.repeat(self.starts[flat] - ends + lengths, lengths) + np.arange(
            ends[-1] if len(ends) else 0
        )
        return numbers

    def summed(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Sums of values of the entries over each candidate ``[batch, width]``."""
        sums = np.bincount(self.candidate, values, minlength=self.shape[0] * self.shape[1])
        return sums.reshape(self.shape).astype(np.float32)
