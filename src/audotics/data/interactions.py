"""Interactions: which listener played which tracks how often, as arrays in listener order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.domain import FloatArray, IndexArray, TimeArray

FIRST_TIME = 10**12
"""A smaller ``last_at`` is a place in a listener's own order: as a time it would be of January 1970."""


@dataclass(frozen=True)
class Interactions:
    """User-track pairs in compressed rows; one row is one listener's (or one query's) history.

    Args:
        indptr: ``[n_rows + 1]``, where each row starts.
        track_index: ``[n_pairs]``, oldest interaction of a row first where order is known, else by index.
        plays: ``[n_pairs]``, how often; 1 where the data does not count.
        last_at: ``[n_pairs]``, time of the last play in UTC microseconds, the place in the listener's
            own order where there are no times, or 0 everywhere (see ``ordered``).
        n_tracks: Size of the track vocabulary.
        ordered: Whether ``last_at`` (and so the order inside a row) means anything.
    """

    indptr: TimeArray
    track_index: IndexArray
    plays: FloatArray
    last_at: TimeArray
    n_tracks: int
    ordered: bool

    @property
    def n_rows(self) -> int:
        """How many listeners or queries."""
        return len(self.indptr) - 1

    @property
    def n_pairs(self) -> int:
        """How many user-track pairs."""
        return len(self.track_index)

    @cached_property
    def row_index(self) -> IndexArray:
        """``[n_pairs]``: the row that each pair belongs to."""
        return _kept(np.arange(self.n_rows, dtype=np.int32).repeat(self.lengths))

    @cached_property
    def lengths(self) -> TimeArray:
        """``[n_rows]``: tracks per row."""
        return _kept(self.indptr[1:] - self.indptr[:-1])

    @cached_property
    def tracks_since(self) -> TimeArray:
        """``[n_pairs]``: how many tracks of the same row come after each pair, 0 for the last of a row."""
        return _kept((self.indptr[1:] - 1).repeat(self.lengths) - np.arange(self.n_pairs))

    def matrix(self, values: FloatArray | None = None) -> sparse.csr_matrix:
        """The pairs as a sparse matrix ``[n_rows, n_tracks]``, with ``values`` (default: 1) for each pair.

        Indices inside a row are in the order of this object, so they are not sorted. The matrix owns
        them: sorting it in place must not sort the tracks here away from their plays and times.
        """
        data = np.ones(self.n_pairs, dtype=np.float32) if values is None else values.copy()
        parts = (data, self.track_index.copy(), self.indptr)
        return sparse.csr_matrix(parts, shape=(self.n_rows, self.n_tracks))

    def rows(self, chosen: npt.NDArray[np.integer[Any]]) -> Interactions:
        """The given rows in the given order; -1 gives an empty row."""
        if len(chosen) == 1 and 0 <= chosen[0] < self.n_rows:
            return self._row(int(chosen[0]))
        chosen = np.asarray(chosen, dtype=np.int64)
        known = chosen >= 0
        safe = np.where(known, chosen, 0)
        empty = self.n_rows == 0
        lengths = np.zeros(len(chosen), np.int64) if empty else np.where(known, self.lengths[safe], 0)
        starts = np.zeros(len(chosen), np.int64) if empty else self.indptr[safe]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        take = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Interactions(
            indptr, self.track_index[take], self.plays[take], self.last_at[take], self.n_tracks, self.ordered
        )

    def _row(self, row: int) -> Interactions:
        """One row; shares the memory of all."""
        pairs = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return Interactions(
            np.array([0, pairs.stop - pairs.start], np.int64),
            self.track_index[pairs],
            self.plays[pairs],
            self.last_at[pairs],
            self.n_tracks,
            self.ordered,
        )

    def where(self, kept: npt.NDArray[np.bool_]) -> Interactions:
        """The same rows with only the pairs marked in ``kept [n_pairs]``."""
        return Interactions(
            np.concatenate([[0], np.cumsum(kept)])[self.indptr].astype(np.int64),
            self.track_index[kept],
            self.plays[kept],
            self.last_at[kept],
            self.n_tracks,
            self.ordered,
        )

    def within(self, n_tracks: int) -> Interactions:
        """The same rows with only the tracks below ``n_tracks``, which is then the size of the vocabulary."""
        beyond = self.track_index >= n_tracks
        kept = self.where(~beyond) if beyond.any() else self
        return replace(kept, n_tracks=n_tracks)

    def replaced(self, places: Sequence[int], others: Interactions) -> Interactions:
        """The same rows, with row ``places[i]`` replaced by row ``i`` of ``others``."""
        both = Interactions(
            np.concatenate([self.indptr, self.indptr[-1] + others.indptr[1:]]),
            np.concatenate([self.track_index, others.track_index]),
            np.concatenate([self.plays, others.plays]),
            np.concatenate([self.last_at, others.last_at]),
            self.n_tracks,
            self.ordered,
        )
        chosen = np.arange(self.n_rows)
        chosen[np.asarray(places, dtype=np.int64)] = self.n_rows + np.arange(others.n_rows)
        return both.rows(chosen)

    def latest(self, n: int) -> IndexArray:
        """The last ``n`` tracks of each row ``[n_rows, n]``, newest last, padded with -1 on the left."""
        out = np.full((self.n_rows, n), -1, dtype=np.int32)
        since = self.tracks_since
        keep = since < n
        out[self.row_index[keep], n - 1 - since[keep]] = self.track_index[keep]
        return out

    @classmethod
    def from_histories(cls, histories: Sequence[Sequence[int]], n_tracks: int) -> Interactions:
        """Raw histories (track indices, oldest first, repeats allowed) as rows; unknown (-1) is dropped."""
        lengths = [len(history) for history in histories]
        frame = pl.DataFrame(
            {
                "user_index": np.repeat(np.arange(len(histories), dtype=np.int32), lengths),
                "track_index": np.array([t for history in histories for t in history], dtype=np.int32),
                "plays": np.ones(sum(lengths), np.float32),
                "at": np.concatenate(
                    [np.arange(n, dtype=np.int64) for n in lengths] or [np.zeros(0, np.int64)]
                ),
            }
        )
        return cls.from_events(
            frame.filter(pl.col("track_index") >= 0), len(histories), n_tracks, ordered=True
        )

    @classmethod
    def from_events(cls, events: pl.DataFrame, n_rows: int, n_tracks: int, *, ordered: bool) -> Interactions:
        """Aggregate a table with columns user_index, track_index, plays and at (int64) into pairs."""
        pairs = (
            events.group_by("user_index", "track_index")
            .agg(pl.col("plays").sum(), pl.col("at").max())
            .sort("user_index", "at", "track_index")
        )
        counts = np.bincount(pairs["user_index"].to_numpy(), minlength=n_rows)
        return cls(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            pairs["track_index"].to_numpy().astype(np.int32),
            pairs["plays"].to_numpy().astype(np.float32),
            pairs["at"].to_numpy().astype(np.int64),
            n_tracks,
            ordered,
        )


_Array = TypeVar("_Array", bound=npt.NDArray[Any])


def _kept(array: _Array) -> _Array:
    """The array, which nobody may change any more: it is made once and given to everybody who asks."""
    array.flags.writeable = False
    return array
