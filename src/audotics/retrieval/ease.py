"""Embarrassingly shallow autoencoder: ridge regression of every track on all others, in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import sparse

from audotics.domain import FloatArray, IndexArray
from audotics.errors import BadInputError
from audotics.retrieval.item_item import STRENGTHS, CoListeningRetriever, ItemItemConfig
from audotics.retrieval.protocol import Choice, Portfolio, Range, RetrieverConfig, SearchSpace

BLOCK_COLUMNS = 128
"""Tracks whose weights are held densely at once."""


class EASEConfig(ItemItemConfig):
    """Settings of `EASE`."""

    n_neighbours: int = Field(300, ge=1)
    play_strength: float = Field(0.3, ge=0)
    regularization: float = Field(10.0, gt=0)
    """Ridge, in units of the mean diagonal of the co-occurrence matrix (listeners per track)."""
    normalization: float = Field(0.0, ge=0, le=1)
    """Power of the listeners' and tracks' degrees that each pair is divided by (0.5 = cosine-like)."""
    memory_mb: int = Field(4096, ge=1)
    """Limit of the dense matrix; beyond it only the most popular tracks take part."""
    max_tracks: int = Field(100_000, ge=1)
    """Most tracks that take part, the most popular ones, however little memory their listeners need."""


class EASE(CoListeningRetriever[EASEConfig]):
    """Weights ``B`` that minimise ``|X - X B|^2 + lambda |B|^2`` with a zero diagonal.

    With ``P = (X'X + lambda I)^-1``, ``b_jt = -p_jt / p_tt``. Where listeners are fewer than tracks, ``P``
    comes from the inverse over listeners, ``P = (I - X'(X X' + lambda I)^-1 X) / lambda``, block by block.
    The dense inverse of side ``min(n_users, n_tracks)`` must fit ``memory_mb``; where neither side does,
    the most popular tracks that fit are used and the others get no weights. Every row of ``B`` is worked
    on densely, so that time grows with the square of the tracks whatever the side of the inverse: never
    more than the ``max_tracks`` most popular ones take part. Of each row of ``B`` the
    ``n_neighbours`` weights of largest magnitude are kept, negative ones too.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019).
    """

    name: ClassVar[str] = "ease"
    config_type: ClassVar[type[RetrieverConfig]] = EASEConfig
    space: ClassVar[SearchSpace] = {
        **STRENGTHS,
        "n_neighbours": Choice((300, 500)),
        "regularization": Range(0.5, 200.0, log=True),
        "normalization": Choice((0.0, 0.25, 0.5)),
    }
    portfolio: ClassVar[Portfolio] = ({"regularization": 4.0}, {"normalization": 0.25, "play_strength": 1.0})

    def weigh(self, plays: sparse.csr_matrix) -> sparse.csr_matrix:
        """The weights of all tracks that take part."""
        chosen = self._taking_part(plays)
        part, balance = self._normalized(plays[:, chosen].tocsr())
        squares = float(np.sum(part.data * part.data))
        ridge = self.config.regularization * squares / max(1, len(chosen))
        is_dual = part.shape[0] < part.shape[1]
        blocks = self._dual_blocks(part, ridge) if is_dual else self._primal_blocks(part, ridge)
        parts = []
        for start, block in blocks:
            block *= balance[start : start + block.shape[1]] / balance[:, None]
            block[np.arange(start, start + block.shape[1]), np.arange(block.shape[1])] = 0.0
            to_track, from_track, weights = largest_in_columns(block, self.config.n_neighbours)
            parts.append((chosen[from_track + start], chosen[to_track], weights))
        rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        return sparse.csr_matrix((values, (rows, columns)), shape=(plays.shape[1], plays.shape[1]))

    def _taking_part(self, plays: sparse.csr_matrix) -> IndexArray:
        """Indices of the tracks ``[m]`` within the limits, in index order; cold ones never are."""
        side = int((self.config.memory_mb * 2**20 / (2 * np.float32().itemsize)) ** 0.5)
        listeners = np.bincount(plays.indices, minlength=plays.shape[1])
        warm = np.flatnonzero(listeners)
        fits = min(plays.shape[0], len(warm)) <= side
        most = self.config.max_tracks if fits else min(side, self.config.max_tracks)
        if len(warm) > most:
            warm = np.sort(warm[np.argsort(-listeners[warm], kind="stable")[:most]])
        return warm.astype(np.int32)

    def _normalized(self, part: sparse.csr_matrix) -> tuple[sparse.csr_matrix, FloatArray]:
        """Pairs divided by powers of both degrees, and the divisors of the tracks ``[m]``."""
        power = np.float32(-self.config.normalization)
        users = np.maximum(np.asarray(part.sum(axis=1)).ravel(), 1e-6) ** power
        tracks = np.maximum(np.asarray(part.sum(axis=0)).ravel(), 1e-6) ** power
        data = part.data * np.repeat(users, np.diff(part.indptr)) * tracks[part.indices]
        scaled = sparse.csr_matrix((data.astype(np.float32), part.indices, part.indptr), shape=part.shape)
        return scaled, tracks.astype(np.float32)

    def _primal_blocks(self, part: sparse.csr_matrix, ridge: float) -> Iterator[tuple[int, FloatArray]]:
        """Columns of ``B'`` ``[m, block]`` with where each block starts, from the inverse over tracks."""
        inverse = self._inverse(part.T.tocsr() @ part, ridge)
        diagonal = inverse.diagonal().copy()
        for start in range(0, len(inverse), BLOCK_COLUMNS):
            yield start, inverse[:, start : start + BLOCK_COLUMNS] / -diagonal[:, None]

    def _dual_blocks(self, part: sparse.csr_matrix, ridge: float) -> Iterator[tuple[int, FloatArray]]:
        """The same from the inverse over listeners.

        Beside the diagonal ``lambda p_jt = -x_j' M x_t`` with ``M = (X X' + lambda I)^-1`` and ``x_j`` the
        column of track j, and ``lambda p_tt = 1 - x_t' M x_t``; lambda cancels in ``B``.
        """
        inverse = self._inverse(part @ part.T.tocsr(), ridge)
        by_track = part.T.tocsr()
        starts = range(0, part.shape[1], BLOCK_COLUMNS)
        diagonal = np.empty(part.shape[1], np.float32)
        for start in starts:
            columns = by_track[start : start + BLOCK_COLUMNS]
            moments = columns.multiply(columns @ inverse).sum(axis=1)
            diagonal[start : start + BLOCK_COLUMNS] = 1.0 - np.asarray(moments).ravel()
        scaled = sparse.csr_matrix(sparse.diags_array(1.0 / diagonal) @ by_track, dtype=np.float32)
        for start in starts:
            projected = by_track[start : start + BLOCK_COLUMNS] @ inverse
            yield start, scaled @ np.ascontiguousarray(projected.T)

    def _inverse(self, gram: sparse.csr_matrix, ridge: float) -> FloatArray:
        """``(gram + lambda I)^-1`` ``[m, m]`` by Cholesky, in the memory of one dense matrix."""
        # Learning only: loading and scoring a stored retriever must not need dense linear algebra.
        from scipy.linalg import lapack

        dense = np.asfortranarray(gram.toarray(order="F"), dtype=np.float32)
        side = np.arange(len(dense))
        dense[side, side] += np.float32(ridge)
        factor, failed = lapack.spotrf(dense, lower=True, clean=False, overwrite_a=True)
        if failed:
            raise BadInputError(
                "the tracks' co-occurrence matrix is too close to singular",
                where=f"ease.regularization = {self.config.regularization}",
                remedy="Raise the regularization",
            )
        inverse, _ = lapack.spotri(factor, lower=True, overwrite_c=True)
        _mirror_lower(inverse)
        # The matrix is symmetric, so its transpose is itself, in row order.
        symmetric: FloatArray = inverse.T
        return symmetric


def largest_in_columns(block: FloatArray, n: int) -> tuple[IndexArray, IndexArray, FloatArray]:
    """The ``n`` entries of largest magnitude in each column, zeros left out.

    A cut guessed from every 16th row sorts out most entries at once; a column where the guess lets
    fewer than ``n`` pass is cut exactly, so the result is exact.

    Args:
        block: ``[n_rows, n_columns]``.
        n: Entries kept in each column.

    Returns:
        Row, column and value of each kept entry ``[n_kept]``.
    """
    n = min(n, len(block))
    magnitude = np.abs(block)
    sample = magnitude[::16]
    guess = len(sample) - min(len(sample), n // 8 + 8)
    passing = magnitude >= np.partition(sample, guess, axis=0)[guess]
    short = np.flatnonzero(np.count_nonzero(passing, axis=0) < n)
    exact = np.partition(magnitude[:, short], len(block) - n, axis=0)[len(block) - n]
    passing[:, short] = magnitude[:, short] >= exact
    passing &= magnitude > 0
    rows, columns = np.nonzero(passing)
    order = np.lexsort((-magnitude[rows, columns], columns))
    counts = np.bincount(columns, minlength=block.shape[1])
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = order[place < n]
    rows, columns = rows[kept], columns[kept]
    return rows.astype(np.int32), columns.astype(np.int32), block[rows, columns]


def _mirror_lower(matrix: FloatArray, step: int = 1024) -> None:
    """Copy the lower triangle of a square matrix onto the upper one, in place and block by block."""
    for start in range(0, len(matrix), step):
        stop = start + step
        corner = np.tril(matrix[start:stop, start:stop])
        matrix[start:stop, start:stop] = corner + np.tril(corner, -1).T
        matrix[start:stop, stop:] = matrix[stop:, start:stop].T
