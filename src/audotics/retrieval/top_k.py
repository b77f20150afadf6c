"""The best of each row of scores, exactly and fast."""

from __future__ import annotations

import numpy as np

from audotics.domain import PADDING, FloatArray, IndexArray, TimeArray

_SAMPLED = 1024
"""About how many scores of each row guess where to cut."""

_SAMPLED_STORED = 128
"""The same of what is stored of a compressed row."""

_CACHED = 1 << 20
"""Scores worked on at once (4 MB): they are read several times, and memory is slower than the processor."""

_NONE = np.iinfo(np.int64).max
_LOW = np.int64(0xFFFF_FFFF)


def top_k(scores: FloatArray, k: int) -> IndexArray:
    """Indices of the ``k`` best per row ``[batch, k]``, best first, ties by lower index, -1 where -inf.

    Selecting in whole rows costs more than computing most scores. A sample of each row guesses a value that
    a little more than ``k`` exceed, and only those are sorted. The guess decides how fast it is, not what
    comes out.

    Args:
        scores: ``[batch, n]`` float32, never NaN.
        k: Length of the result, at most ``n``.
    """
    n = scores.shape[1]
    k = min(k, n)
    best = np.empty((len(scores), k), np.int32)
    step = max(1, _CACHED // max(1, n))
    for start in range(0, len(scores), step):
        best[start : start + step] = _best(np.ascontiguousarray(scores[start : start + step]), k)
    return best


def _best(scores: FloatArray, k: int) -> IndexArray:
    n = scores.shape[1]
    step = n // _SAMPLED
    if step < 2 or k > n // 4:
        return _first(_keys(scores, np.arange(n)), k)
    expected = k / step
    place = int(expected + 3 * np.sqrt(expected) + 3)
    # Sorted, not partitioned: numpy's partition is ten times slower where most scores are equal.
    guess: FloatArray = np.sort(scores[:, ::step], axis=1)[:, -place]
    above = np.flatnonzero(scores > guess[:, None])
    counts = np.diff(np.searchsorted(above, np.arange(len(scores) + 1) * n))
    rows = np.repeat(np.arange(len(scores)), counts)
    slots = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts)
    few = np.flatnonzero(counts < k)
    if len(few):
        at, slots_there = _equals_that_complete(scores, guess, few, counts, k)
        above, rows = np.concatenate([above, at]), np.concatenate([rows, at // n])
        slots = np.concatenate([slots, slots_there])
        counts = np.bincount(rows, minlength=len(scores))
    best = best_of_chosen(scores.ravel()[above], rows, above - rows * n, slots, len(scores), k)
    missed = np.flatnonzero(counts < k)
    if len(missed):
        best[missed] = _first(_keys(scores[missed], np.arange(n)), k)
    return best


def guessed_cuts(data: FloatArray, starts: TimeArray, needed: TimeArray) -> FloatArray:
    """A value of each compressed row that probably a little more than ``needed`` entries exceed, at least 0.

    Guessed from a sample, as in `top_k`; 0 where a row has not many more entries than that.

    Args:
        data: ``[nnz]``, the entries of all rows.
        starts: ``[batch + 1]``, where each row starts.
        needed: ``[batch]``.
    """
    lengths = np.diff(starts)
    cuts = np.zeros(len(lengths), np.float32)
    long = np.flatnonzero(lengths > np.maximum(3 * needed, 4 * _SAMPLED_STORED))
    if len(long):
        places = np.arange(_SAMPLED_STORED) * lengths[long, None] // _SAMPLED_STORED
        sample = np.sort(data[starts[long, None] + places], axis=1)
        expected = needed[long] / lengths[long] * _SAMPLED_STORED
        place = (expected + 3 * np.sqrt(expected) + 3).astype(np.int64)
        cuts[long] = sample[np.arange(len(long)), np.maximum(_SAMPLED_STORED - place, 0)]
    return np.maximum(cuts, 0.0)


def best_of_chosen(
    scores: FloatArray,
    rows: TimeArray,
    columns: IndexArray | TimeArray,
    slots: TimeArray,
    n_rows: int,
    k: int,
) -> IndexArray:
    """The ``k`` best of some entries of a matrix, as `top_k` gives them of all.

    Args:
        scores: ``[n]``, the entries; never NaN.
        rows: ``[n]``, row of each.
        columns: ``[n]``, column of each.
        slots: ``[n]``, number of each inside its row, from 0.
        n_rows: How many rows there are.
        k: Length of the result; rows with fewer entries end in -1.
    """
    keys = np.full((n_rows, max(k, int(slots.max(initial=0)) + 1)), _NONE)
    keys[rows, slots] = _keys(scores, columns)
    return _first(keys, k)


def _equals_that_complete(
    scores: FloatArray, guess: FloatArray, few: TimeArray, counts: TimeArray, k: int
) -> tuple[TimeArray, TimeArray]:
    """Where a guess is the score of so many that too few are above it: the first of those that equal it.

    Args:
        scores: ``[batch, n]``.
        guess: ``[batch]``.
        few: Rows with too few above.
        counts: ``[batch]``, how many are above.
        k: How many are needed; those beyond the first ``4 k`` columns are not looked at.

    Returns:
        Places in the flattened scores, and slots of their rows after those above.
    """
    equal = scores[few, : 4 * k] == guess[few, None]
    slots = counts[few, None] + np.cumsum(equal, axis=1) - 1
    places, columns = np.nonzero(equal & (slots < k))
    return few[places] * scores.shape[1] + columns, slots[places, columns]


def _keys(scores: FloatArray, columns: IndexArray | TimeArray) -> TimeArray:
    """Numbers that ascend as scores descend and, among equals, as columns ascend.

    The bits of a float, read as a whole number, are in the order of the floats above 0, and in the reverse
    order below.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    descending = ~(bits ^ ((bits >> 31) & np.int32(0x7FFF_FFFF)))
    return (descending.astype(np.int64) << 32) | columns


def _first(keys: TimeArray, k: int) -> IndexArray:
    """Columns of the ``k`` smallest keys of each row, -1 for scores of -inf."""
    keys.sort(axis=1)
    first = keys[:, :k]
    columns = (first & _LOW).astype(np.int32)
    columns[first >= _MINUS_INFINITY] = PADDING
    return columns


_MINUS_INFINITY = int(_keys(np.array([-np.inf], np.float32), np.zeros(1, np.int64))[0])
