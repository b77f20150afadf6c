"""One retriever's scores of a few queries: the best of them, and those of given tracks.

Scores come in several forms, and each has its own cheapest way to both. What comes out is the same: as if
every track's score stood in an array, tracks that are barred were -inf, and rows were sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from audotics.data.compressed import Compressed
from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray, TimeArray
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.protocol import Scores
from audotics.retrieval.top_k import best_of_chosen, guessed_cuts, top_k


@dataclass(frozen=True, slots=True)
class Barred:
    """Tracks that must not be proposed.

    Args:
        mask: ``[batch, n_tracks]``.
        places: Where the mask is True, in the flattened mask.
        counts: ``[batch]``, how often.
    """

    mask: BoolArray
    places: TimeArray
    counts: TimeArray

    @classmethod
    def of(cls, mask: BoolArray) -> Barred:
        """From the mask alone."""
        places = np.flatnonzero(mask)
        ends = np.searchsorted(places, np.arange(len(mask) + 1) * mask.shape[1])
        return cls(mask, places, np.diff(ends))


class Wanted:
    """Candidates whose scores are asked for.

    Args:
        track_index: ``[batch, width]``, padded with -1.
        n_tracks: Size of the vocabulary.
    """

    def __init__(self, track_index: IndexArray, n_tracks: int) -> None:
        self.absent: BoolArray = track_index == PADDING
        self.track_index: IndexArray = np.maximum(track_index, 0)
        self.n_tracks = n_tracks

    @cached_property
    def places(self) -> TimeArray:
        """``[batch, width]``: place of each candidate among all scores, flattened; track 0's where padded."""
        return self.track_index + np.arange(len(self.track_index))[:, None] * self.n_tracks

    @cached_property
    def slots(self) -> npt.NDArray[np.int16] | IndexArray:
        """For each score of all, flattened: 1 + the slot of its candidate; 0 where it is none."""
        batch, width = self.track_index.shape
        slots = np.zeros(batch * self.n_tracks, np.int16 if width < np.iinfo(np.int16).max else np.int32)
        present = ~self.absent
        slots[self.places[present]] = np.nonzero(present)[1] + 1
        return slots


class ScoreRows(Protocol):
    """Scores of all tracks for a few queries ``[batch, n_tracks]``."""

    def best(self, k: int, barred: Barred) -> IndexArray:
        """The ``k`` best that are not barred ``[batch, k]``, ties by lower index, padded with -1."""
        ...

    def at(self, wanted: Wanted) -> FloatArray:
        """Scores of candidates ``[batch, width]``; after `best`; anything where they are padded."""
        ...


class DenseRows:
    """Every score in an array.

    Args:
        scores: ``[batch, n_tracks]``; barred tracks are marked in it.
    """

    def __init__(self, scores: FloatArray) -> None:
        self._scores = scores

    def best(self, k: int, barred: Barred) -> IndexArray:
        """See `ScoreRows`."""
        self._scores.put(barred.places, -np.inf)
        return top_k(self._scores, k)

    def at(self, wanted: Wanted) -> FloatArray:
        """See `ScoreRows`."""
        return self._scores.take(wanted.places)


class SharedRow:
    """The same scores for every query.

    Args:
        scores: ``[n_tracks]``.
        batch: How many queries.
    """

    def __init__(self, scores: FloatArray, batch: int) -> None:
        self._scores = scores
        self._batch = batch

    def best(self, k: int, barred: Barred) -> IndexArray:
        """See `ScoreRows`."""
        n_tracks = len(self._scores)
        k = min(k, n_tracks)
        depth = k + int(barred.counts.max(initial=0))
        if depth > n_tracks // 4:
            return DenseRows(np.tile(self._scores, (self._batch, 1))).best(k, barred)
        # Among so many at least k are free for every query.
        order = top_k(self._scores[None], depth)[0]
        free = ~barred.mask[:, order]
        places = np.cumsum(free, axis=1)
        free &= places <= k
        best: IndexArray = order[np.nonzero(free)[1]].reshape(self._batch, k)
        return best

    def at(self, wanted: Wanted) -> FloatArray:
        """See `ScoreRows`."""
        return self._scores.take(wanted.track_index)


class SparseRows:
    """Compressed rows: most scores are 0 and not stored.

    Args:
        matrix: ``[batch, n_tracks]``, each entry at most once.
    """

    def __init__(self, matrix: Compressed) -> None:
        self._matrix = matrix
        self._data: FloatArray = matrix.data
        self._columns: IndexArray = matrix.indices
        self._starts = matrix.indptr.astype(np.int64)
        self._batch, self._n_tracks = matrix.shape
        self._lengths = np.diff(self._starts)
        self._rows = np.repeat(np.arange(self._batch), self._lengths)

    def best(self, k: int, barred: Barred) -> IndexArray:
        """See `ScoreRows`."""
        k = min(k, self._n_tracks)
        cut = guessed_cuts(self._data, self._starts, k + barred.counts)
        chosen = np.flatnonzero(self._data > np.repeat(cut, self._lengths))
        chosen = chosen[~barred.mask.take(self._places[chosen])]
        rows, columns, scores = self._rows[chosen], self._columns[chosen], self._data[chosen]
        counts = np.bincount(rows, minlength=self._batch)
        slots = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        few = np.flatnonzero((counts < k) & (cut == 0))
        if len(few):
            zero_rows, zero_columns, zero_slots = self._zeros(few, counts, k, barred)
            counts += np.bincount(zero_rows, minlength=self._batch)
            rows, columns = np.concatenate([rows, zero_rows]), np.concatenate([columns, zero_columns])
            scores = np.concatenate([scores, np.zeros(len(zero_rows), np.float32)])
            slots = np.concatenate([slots, zero_slots])
        best = best_of_chosen(scores, rows, columns, slots, self._batch, k)
        missed = np.flatnonzero(counts < k)
        if len(missed):
            best[missed] = self._dense(missed).best(k, Barred.of(barred.mask[missed]))
        return best

    def at(self, wanted: Wanted) -> FloatArray:
        """See `ScoreRows`."""
        slots = wanted.slots.take(self._places)
        found = np.flatnonzero(slots)
        scores = np.zeros(wanted.track_index.shape, np.float32)
        scores[self._rows[found], slots[found] - 1] = self._data[found]
        return scores

    @cached_property
    def _places(self) -> TimeArray:
        """Place of each entry among all scores, flattened."""
        return self._rows * self._n_tracks + self._columns

    def _zeros(
        self, rows: TimeArray, counts: TimeArray, k: int, barred: Barred
    ) -> tuple[TimeArray, TimeArray, TimeArray]:
        """The first tracks of score 0, as many as each of ``rows`` needs to have ``k``: row, column, slot.

        Only the first ``4 k`` tracks are looked at.
        """
        head = 4 * k
        empty = ~barred.mask[rows, :head]
        place = np.full(self._batch, -1)
        place[rows] = np.arange(len(rows))
        stored = np.flatnonzero((place[self._rows] >= 0) & (self._columns < head) & (self._data != 0))
        empty[place[self._rows[stored]], self._columns[stored]] = False
        slots = counts[rows, None] + np.cumsum(empty, axis=1) - 1
        taken, columns = np.nonzero(empty & (slots < k))
        return rows[taken], columns, slots[taken, columns]

    def _dense(self, rows: TimeArray) -> DenseRows:
        dense = np.zeros((len(rows), self._n_tracks), np.float32)
        places, lengths = self._matrix.entries(rows)
        dense[np.arange(len(rows)).repeat(lengths), self._columns[places]] = self._data[places]
        return DenseRows(dense)


class ProductRows:
    """Inner products that are computed only where they may be large, and for candidates.

    Args:
        products: The scores.
    """

    def __init__(self, products: InnerProducts) -> None:
        self._products = products

    def best(self, k: int, barred: Barred) -> IndexArray:
        """See `ScoreRows`; what the index misses is missing, unless too few are left."""
        k = min(k, self._products.shape[1])
        best = np.empty((self._products.shape[0], k), np.int32)
        for row in range(len(best)):
            near = self._products.near(row, int(barred.counts[row]))
            near = near[~barred.mask[row].take(near)]
            if len(near) < k:
                whole = DenseRows(self._products.part(row, row + 1).toarray())
                best[row] = whole.best(k, Barred.of(barred.mask[row : row + 1]))[0]
            else:
                best[row] = near[_few_best(self._products.at(row, near), k)]
        return best

    def at(self, wanted: Wanted) -> FloatArray:
        """See `ScoreRows`."""
        scores = np.zeros(wanted.track_index.shape, np.float32)
        for row, (tracks, absent) in enumerate(zip(wanted.track_index, wanted.absent, strict=True)):
            n_present = len(tracks) - int(np.count_nonzero(absent))
            scores[row, :n_present] = self._products.at(row, tracks[:n_present])
        return scores


def _few_best(scores: FloatArray, k: int) -> TimeArray:
    """Places of the ``k`` best of some thousand scores, best first, equals in their order."""
    cut = np.partition(scores, len(scores) - k)[len(scores) - k]
    chosen = (scores >= cut).nonzero()[0]
    best: TimeArray = chosen[(-scores[chosen]).argsort(kind="stable")[:k]]
    return best


def rows_of(scores: Scores, start: int, stop: int) -> ScoreRows:
    """The queries ``start`` to ``stop`` of what `Retriever.compact_scores` gave."""
    if isinstance(scores, Compressed):
        return SparseRows(scores.part(start, stop))
    if isinstance(scores, InnerProducts):
        return ProductRows(scores.part(start, stop))
    part = scores[start:stop]
    if scores.strides[0] == 0 and stop > start:
        return SharedRow(np.ascontiguousarray(part[0]), stop - start)
    return DenseRows(part if scores.flags.writeable else part.copy())
