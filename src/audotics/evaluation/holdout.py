"""Holdout: the test tracks of each evaluated listener, in index space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audotics.domain import PADDING, BoolArray, IndexArray, TimeArray


@dataclass(frozen=True, slots=True)
class Holdout:
    """Listener-track pairs held out of training, in compressed rows.

    Args:
        indptr: ``[n_listeners + 1]``, where each listener's tracks start.
        track_index: ``[n_pairs]``, ascending and distinct inside a row. A test track outside the
            training vocabulary has a number of its own beyond it: no list can hold it, yet it counts.
        n_tracks: One more than the largest track number in use, at least the vocabulary's size.
    """

    indptr: TimeArray
    track_index: IndexArray
    n_tracks: int

    @classmethod
    def from_pairs(
        cls, row: npt.ArrayLike, track_index: npt.ArrayLike, n_listeners: int, n_tracks: int
    ) -> Holdout:
        """Pairs in any order, repeats allowed, as rows.

        Args:
            row: ``[n]``, the listener of each pair, below ``n_listeners``.
            track_index: ``[n]``, the track of each pair, below ``n_tracks``.
            n_listeners: How many rows.
            n_tracks: See the class.
        """
        keys = np.unique(np.asarray(row, np.int64) * n_tracks + np.asarray(track_index, np.int64))
        rows, tracks = np.divmod(keys, n_tracks)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_listeners))])
        return cls(indptr.astype(np.int64), tracks.astype(np.int32), n_tracks)

    @property
    def n_listeners(self) -> int:
        """How many listeners, with or without pairs."""
        return len(self.indptr) - 1

    @property
    def n_pairs(self) -> int:
        """How many listener-track pairs."""
        return len(self.track_index)

    @property
    def lengths(self) -> TimeArray:
        """``[n_listeners]``: test tracks of each listener."""
        return np.diff(self.indptr)

    @property
    def row_index(self) -> IndexArray:
        """``[n_pairs]``: the listener of each pair."""
        return np.repeat(np.arange(self.n_listeners, dtype=np.int32), self.lengths)

    @property
    def keys(self) -> TimeArray:
        """``[n_pairs]``: one ascending number per pair, ``row * n_tracks + track_index``."""
        return self.row_index.astype(np.int64) * self.n_tracks + self.track_index

    def hits(self, recommended: IndexArray) -> BoolArray:
        """Which recommended tracks are test tracks of their listener.

        Args:
            recommended: ``[n_listeners, k]``, best first, padded with -1.

        Returns:
            ``[n_listeners, k]``, False where padded.
        """
        if self.n_pairs == 0:
            return np.zeros(recommended.shape, np.bool_)
        rows = np.arange(self.n_listeners, dtype=np.int64)[:, None]
        wanted = np.where(recommended == PADDING, -1, rows * self.n_tracks + recommended)
        keys = self.keys
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found: BoolArray = keys[places] == wanted
        return found

    def keep(self, chosen: BoolArray) -> Holdout:
        """The same listeners with only the chosen pairs ``[n_pairs]``; some may be left with none."""
        return Holdout.from_pairs(
            self.row_index[chosen], self.track_index[chosen], self.n_listeners, self.n_tracks
        )

    def take(self, rows: IndexArray) -> Holdout:
        """The chosen listeners ``[n]``, distinct, with all their pairs, in the given order."""
        place = np.full(self.n_listeners, PADDING, np.int32)
        place[rows] = np.arange(len(rows))
        row = place[self.row_index]
        chosen = row != PADDING
        return Holdout.from_pairs(row[chosen], self.track_index[chosen], len(rows), self.n_tracks)
