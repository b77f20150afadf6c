"""Compressed rows: matrices of which most entries are 0, with the two products that answering needs.

A request multiplies a row of a dozen entries with a matrix of millions. General sparse libraries spend far
more time on checking and building such matrices than on the product, so this keeps the arrays as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audotics.domain import FloatArray, IndexArray, TimeArray

_FEW_CELLS = 1 << 20
"""Products of at most so many cells, stored or not, are summed in an array of all of them (4 MB)."""

_FEW_ROWS = 8
"""With more rows a sparse library's product is as fast."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """Rows whose entries are stored one after another; what is not stored is 0.

    Args:
        data: ``[nnz]``, the entries.
        indices: ``[nnz]``, the column of each, at most once in a row, in any order.
        indptr: ``[n_rows + 1]``, where each row starts.
        n_columns: How many columns there are.
    """

    data: FloatArray
    indices: IndexArray
    indptr: npt.NDArray[np.integer[Any]]
    n_columns: int

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        n_columns: int,
        names: tuple[str, str, str] = ("data", "indices", "indptr"),
    ) -> Compressed:
        """From stored arrays, by the names of entries, columns and starts."""
        data, indices, indptr = (arrays[name] for name in names)
        return cls(data, indices, indptr, n_columns)

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.n_rows, self.n_columns

    @property
    def nnz(self) -> int:
        """How many entries."""
        return len(self.data)

    @property
    def lengths(self) -> npt.NDArray[np.integer[Any]]:
        """``[n_rows]``: entries of each row."""
        return self.indptr[1:] - self.indptr[:-1]

    def part(self, start: int, stop: int) -> Compressed:
        """The rows ``start`` to ``stop``; shares their memory."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        return Compressed(
            self.data[first:last],
            self.indices[first:last],
            self.indptr[start : stop + 1] - first,
            self.n_columns,
        )

    def entries(self, rows: npt.NDArray[np.integer[Any]]) -> tuple[TimeArray, TimeArray]:
        """Places of the entries of some rows, one row after another, and how many each row has.

        Args:
            rows: ``[n]``, repeats allowed.

        Returns:
            Places ``[sum of lengths]``, lengths ``[n]``.
        """
        first = self.indptr.take(rows).astype(np.int64)
        lengths = self.indptr.take(rows + 1) - first
        ends = lengths.cumsum()
        places = np.arange(ends[-1] if len(ends) else 0)
        places += (first - ends + lengths).repeat(lengths)
        return places, lengths

    def found(self, rows: npt.NDArray[np.integer[Any]], columns: npt.NDArray[np.integer[Any]]) -> FloatArray:
        """Entries of some rows in some columns ``[len(columns), len(rows)]``, 0 where there is none.

        Every column is compared with every entry of the rows: for few columns the fastest way.
        """
        places, lengths = self.entries(rows)
        column, entry = (self.indices.take(places) == columns[:, None]).nonzero()
        found = np.zeros((len(columns), len(rows)), np.float32)
        found[column, np.arange(len(rows)).repeat(lengths)[entry]] = self.data[places[entry]]
        return found

    def toarray(self) -> FloatArray:
        """All entries ``[n_rows, n_columns]``."""
        whole = np.zeros(self.shape, np.float32)
        rows = np.arange(self.n_rows).repeat(self.lengths)
        whole[rows, self.indices] = self.data
        return whole

    def csr(self) -> sparse.csr_matrix:
        """The same for a sparse library; shares the memory."""
        return sparse.csr_matrix((self.data, self.indices, self.indptr), shape=self.shape, copy=False)


def product(left: Compressed, right: Compressed) -> Compressed:
    """``left @ right`` ``[left.n_rows, right.n_columns]``."""
    cells = left.n_rows * right.n_columns
    if left.n_rows > _FEW_ROWS or (left.n_rows > 1 and cells > _FEW_CELLS):
        whole = sparse.csr_matrix(left.csr() @ right.csr())
        return Compressed(whole.data, whole.indices, whole.indptr, right.n_columns)
    places, lengths = right.entries(left.indices)
    values = right.data.take(places)
    values *= left.data.repeat(lengths)
    columns = right.indices.take(places)
    if left.n_rows == 1:
        data, columns = _summed(values, columns, cells)
        return Compressed(data, columns, np.array([0, len(columns)]), right.n_columns)
    rows = np.arange(left.n_rows).repeat(left.lengths).repeat(lengths)
    data, cell = _summed(values, rows * right.n_columns + columns, cells)
    row = cell // right.n_columns
    starts = np.concatenate([[0], np.bincount(row, minlength=left.n_rows).cumsum()])
    return Compressed(data, (cell - row * right.n_columns).astype(np.int32), starts, right.n_columns)


class _Workspace(threading.local):
    """One cell for everything that a product may add to, kept by each thread.

    A fresh array for every product would be mapped and unmapped by the system each time, which takes longer
    than the product.

    Attributes:
        sums: ``[n_cells]``, all 0 between two products.
        last: ``[n_cells]``, anything.
    """

    def __init__(self) -> None:
        self.sums: FloatArray = np.zeros(0, np.float32)
        self.last: IndexArray = np.zeros(0, np.int32)

    def grow(self, n_cells: int) -> None:
        """Make room for so many cells."""
        if len(self.sums) < n_cells:
            self.sums, self.last = np.zeros(n_cells, np.float32), np.zeros(n_cells, np.int32)


_WORKSPACE = _Workspace()


def _summed(values: FloatArray, cells: npt.NDArray[Any], n_cells: int) -> tuple[FloatArray, npt.NDArray[Any]]:
    """Sum of the values of each cell, and the cells that have any, each once, in the order of their last."""
    _WORKSPACE.grow(n_cells)
    sums, last = _WORKSPACE.sums, _WORKSPACE.last
    np.add.at(sums, cells, values)
    # Of all that write their number to a cell, the last one's stays: so each cell is found once.
    number = np.arange(len(cells), dtype=np.int32)
    last[cells] = number
    distinct = cells[last[cells] == number]
    data = sums[distinct]
    sums[distinct] = 0.0
    return data, distinct
