"""One small ridge regression per row of a sparse matrix: the inner step of alternating least squares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audotics.data.compressed import Compressed
from audotics.domain import BoolArray, FloatArray

Rows: TypeAlias = sparse.csr_matrix | Compressed
"""Rows of entries in compressed form, those of a sparse library or our own."""

BLOCK_FLOATS = 4_000_000
"""Floats that the gathered factors of one block of rows may hold (16 MB)."""

SHORTEST_SHARE = 0.8
"""Rows of one block are padded to its longest; none is shorter than this share of it."""


class _Span(NamedTuple):
    """Rows solved together, and the length of the longest."""

    rows: npt.NDArray[np.int64]
    width: int


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows of similar length with their factors gathered and padded.

    Args:
        rows: ``[block]``, which rows of the matrix.
        places: ``[block, width]``, where the row's entries stand in the matrix; 0 where padded.
        present: ``[block, width]``, False where padded.
        weights: ``[block, width]``, confidence of each entry; 0 where padded.
        gathered: ``[block, width, rank]``, factors of each entry; 0 where padded.
        diagonal: ``[block, rank]``, what every row's system has on its diagonal.
    """

    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    present: BoolArray
    weights: FloatArray
    gathered: FloatArray
    diagonal: FloatArray

    @property
    def is_dual(self) -> bool:
        """Whether the system over the row's entries is the smaller one."""
        _, width, rank = self.gathered.shape
        return bool(width <= rank)

    def dual(self) -> tuple[FloatArray, FloatArray]:
        """``S = X D^-1/2`` ``[block, width, rank]`` and ``K = C^-1 + S S'`` ``[block, width, width]``."""
        roots: FloatArray = np.sqrt(self.diagonal)
        scaled: FloatArray = self.gathered / roots[:, None, :]
        system: FloatArray = scaled @ scaled.transpose(0, 2, 1)
        # A padded entry gets the equation z = 0, apart from all others.
        slack = np.divide(1.0, self.weights, where=self.present, out=np.ones_like(self.weights))
        _add_to_diagonal(system, slack)
        return scaled, system

    def solution(self) -> FloatArray:
        """Factors ``[block, rank]`` of every row."""
        if self.is_dual:
            scaled, system = self.dual()
            dual = np.linalg.solve(system, self.present[:, :, None].astype(np.float32))
            answer: FloatArray = (scaled.transpose(0, 2, 1) @ dual)[:, :, 0]
            answer /= np.sqrt(self.diagonal)
        else:
            moments = self.gathered.transpose(0, 2, 1) @ self.weights[:, :, None]
            answer = np.linalg.solve(self.primal(), moments)[:, :, 0]
        return answer

    def primal(self) -> FloatArray:
        """``D + X' C X`` ``[block, rank, rank]``."""
        weighted = self.gathered * self.weights[:, :, None]
        system: FloatArray = self.gathered.transpose(0, 2, 1) @ weighted
        _add_to_diagonal(system, self.diagonal)
        return system


@dataclass(frozen=True, slots=True)
class RowSolver:
    """Least squares of each row against fixed factors ``H``, all in closed form.

    Row ``u`` with entries ``X`` (rows of ``H``), confidences ``C`` and ridge ``r`` has the factors

        w = (D + X' C X)^-1 X' C 1,   D = diag(spectrum) + r I

    where ``diag(spectrum)`` is the Gram matrix of all unobserved pairs: factors must be rotated so that it
    is diagonal (`rotated`). Rows with fewer entries than the rank are solved over their entries,

        w = D^-1 X' (C^-1 + X D^-1 X')^-1 1     (Woodbury),

    the others over the rank; rows of similar length go through LAPACK together.

    Args:
        factors: ``[n_columns, rank]``.
        spectrum: ``[rank]``, at least 0.
    """

    factors: FloatArray
    spectrum: FloatArray

    @classmethod
    def rotated(cls, factors: FloatArray, unobserved_weight: float) -> RowSolver:
        """The same factors in the basis where their Gram matrix is diagonal.

        Scores are inner products, so rotating one side and solving the other in the new basis changes none.
        """
        gram = factors.T @ factors
        values, vectors = np.linalg.eigh(gram.astype(np.float64))
        spectrum = unobserved_weight * np.maximum(values, 0.0)
        return cls(factors @ vectors.astype(np.float32), spectrum.astype(np.float32))

    def solve(self, matrix: Rows, ridge: FloatArray, n_threads: int | None = None) -> FloatArray:
        """Factors ``[n_rows, rank]`` of each row; 0 for rows without entries.

        Args:
            matrix: ``[n_rows, n_columns]``, entries are confidences above 0.
            ridge: ``[n_rows]``, above 0.
            n_threads: Blocks solved at once; None takes one for each core.
        """
        solved = np.zeros((matrix.shape[0], len(self.spectrum)), np.float32)

        def solve_span(span: _Span) -> None:
            block = self._gather(matrix, span, ridge)
            solved[block.rows] = block.solution()

        spans = list(self._spans(matrix))
        n_threads = min(len(spans), n_threads or os.cpu_count() or 1)
        if n_threads < 2:
            for span in spans:
                solve_span(span)
        else:
            # numpy's linear algebra runs without the interpreter's lock; blocks write to rows of their own.
            with ThreadPoolExecutor(n_threads) as threads:
                list(threads.map(solve_span, spans))
        return solved

    def contributions(self, row: Rows, ridge: FloatArray, targets: FloatArray) -> FloatArray:
        """What each entry of a row adds to its scores for targets (Hu, Koren and Volinsky 2008, section 5).

        ``C X (D + X' C X)^-1 h``: the entries add up to the score ``w . h``.

        Args:
            row: ``[1, n_columns]``, as for `solve`.
            ridge: ``[1]``.
            targets: ``[n, rank]``, factors ``h`` of the columns asked about.

        Returns:
            ``[n, nnz]``, in the order of ``row.data``.
        """
        if not row.nnz:
            return np.zeros((len(targets), 0), np.float32)
        block = self._gather(row, _Span(np.zeros(1, np.int64), row.nnz), ridge)
        if block.is_dual:
            scaled, system = block.dual()
            moments = scaled[0] @ (targets / np.sqrt(block.diagonal)).T
            shares: FloatArray = np.linalg.solve(system[0], moments)
        else:
            directions = np.linalg.solve(block.primal()[0], targets.T)
            shares = block.weights[0][:, None] * (block.gathered[0] @ directions)
        return shares.T

    def _spans(self, matrix: Rows) -> Iterator[_Span]:
        """Rows with entries, longest first, in spans of bounded size and similar length."""
        lengths = (matrix.indptr[1:] - matrix.indptr[:-1]).astype(np.int64)
        order = np.argsort(lengths, kind="stable")
        ascending = lengths[order]
        rank = len(self.spectrum)
        stop = len(order)
        while stop > 0 and ascending[stop - 1] > 0:
            width = int(ascending[stop - 1])
            rows_that_fit = max(1, BLOCK_FLOATS // (rank * max(width, min(width, rank))))
            similar = int(np.searchsorted(ascending, SHORTEST_SHARE * width))
            start = max(similar, stop - rows_that_fit)
            yield _Span(order[start:stop], width)
            stop = start

    def _gather(self, matrix: Rows, span: _Span, ridge: FloatArray) -> _Block:
        rows, width = span
        offsets = np.arange(width)
        starts = matrix.indptr[rows].astype(np.int64)
        present = offsets < (matrix.indptr[rows + 1] - starts)[:, None]
        places = np.where(present, starts[:, None] + offsets, 0)
        gathered = self.factors[matrix.indices[places]]
        gathered *= present[:, :, None]
        weights = np.where(present, matrix.data[places], np.float32(0.0))
        diagonal = self.spectrum + ridge[rows][:, None]
        return _Block(rows, places, present, weights, gathered, diagonal)


def _add_to_diagonal(systems: FloatArray, values: FloatArray) -> None:
    """Add ``[block, n]`` values to the diagonals of ``[block, n, n]`` systems, in place."""
    place = np.arange(systems.shape[1])
    systems[:, place, place] += values
