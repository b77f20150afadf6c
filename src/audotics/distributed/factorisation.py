"""Matrix factorisation whose half sweeps are solved by workers, a block of rows each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.domain import FloatArray
from audotics.retrieval.ials import IALS
from audotics.retrieval.protocol import Arrays
from audotics.retrieval.row_solver import RowSolver
from audotics.workers import Shared, Workers

BLOCK_PAIRS = 2_000_000
"""Entries of the matrix that a task solves, about: long beside what handing it over costs."""

Block = tuple[sparse.csr_matrix, FloatArray]
"""Rows, and the ridge of each."""


class IALSByWorkers(IALS):
    """The factors of `IALS`, up to rounding, and like any other one once they are learned.

    Each half sweep sends the factors of one side to every machine and brings those of the other side back:
    ``4 x rank x (rows + columns)`` bytes. The matrix is sent once.

    Args:
        one: Whose settings and start are taken.
        workers: Who solves.
    """

    def __init__(self, one: IALS, workers: Workers) -> None:
        super().__init__(one.config)
        self._earlier = one._earlier
        self._workers = workers
        self._blocks: dict[int, list[Shared[Block]]] = {}

    def learn(self, corpus: Corpus) -> Arrays:
        """Alternate over listeners and tracks."""
        try:
            return super().learn(corpus)
        finally:
            self._blocks.clear()

    def solve_rows(self, solver: RowSolver, matrix: sparse.csr_matrix, ridge: FloatArray) -> FloatArray:
        """Half a sweep by the workers."""
        # Both matrices, and the ridge that goes with each, are the same in every sweep.
        if id(matrix) not in self._blocks:
            self._blocks[id(matrix)] = [
                self._workers.share((matrix[rows], ridge[rows])) for rows in row_blocks(matrix)
            ]
        shared = self._workers.share(solver)
        tasks = ((shared, block) for block in self._blocks[id(matrix)])
        return np.concatenate(list(self._workers.map(solve_block, tasks)))


def row_blocks(matrix: sparse.csr_matrix) -> Iterator[slice]:
    """Rows in order, in blocks of about `BLOCK_PAIRS` entries."""
    n_blocks = max(1, round(matrix.nnz / BLOCK_PAIRS))
    ends = np.searchsorted(matrix.indptr, np.arange(1, n_blocks) * matrix.nnz / n_blocks)
    bounds = np.unique([0, *ends.tolist(), matrix.shape[0]])
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)


def solve_block(task: tuple[Shared[RowSolver], Shared[Block]]) -> FloatArray:
    """Factors ``[n_rows, rank]`` of one block, in a worker."""
    solver, (matrix, ridge) = task[0].get(), task[1].get()
    return solver.solve(matrix, ridge, n_threads=1)
