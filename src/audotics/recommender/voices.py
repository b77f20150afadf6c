"""Voices: the known tracks that speak for live ones where only a version's own tracks are understood."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import sparse

from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, FloatArray, IndexArray

N_VOICES = 3
"""A play of a live track is told to retrievers as a play of so many tracks, which share it."""


@dataclass(frozen=True, slots=True)
class Voices:
    """Histories with live tracks, in the words of a version that was trained without them.

    Live tracks are those from ``n_known`` on. Retrievers and deep rankers have no row for them.

    Args:
        n_known: Size of the version's own vocabulary.
        track_index: ``[n_live, N_VOICES]`` known tracks, padded with -1.
        shares: ``[n_live, N_VOICES]``, of each play; each row adds up to 1, or to 0 without any voice.
    """

    n_known: int
    track_index: IndexArray
    shares: FloatArray

    @classmethod
    def of(cls, shares: sparse.csr_matrix) -> Voices:
        """The largest shares of each live track.

        Args:
            shares: ``[n_live, n_known]``, see `ContentIndex.stand_ins`.
        """
        n_live, lengths = int(shares.shape[0]), np.diff(shares.indptr)
        rows = np.arange(n_live).repeat(lengths)
        slots = np.arange(shares.nnz) - shares.indptr[:-1].repeat(lengths)
        tracks = np.full((n_live, max(N_VOICES, int(lengths.max(initial=0)))), PADDING, np.int32)
        parts = np.zeros(tracks.shape, np.float32)
        tracks[rows, slots], parts[rows, slots] = shares.indices, shares.data
        largest = np.argsort(-parts, axis=1, kind="stable")[:, :N_VOICES]
        kept = np.take_along_axis(parts, largest, axis=1)
        total = np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return cls(int(shares.shape[1]), np.take_along_axis(tracks, largest, axis=1), kept / total)

    def known_only(self, batch: QueryBatch) -> QueryBatch:
        """The queries with the known tracks of their histories."""
        return replace(batch, histories=batch.histories.within(self.n_known))

    def spoken(self, batch: QueryBatch) -> QueryBatch:
        """The queries with voices in the place of live tracks, as if those had been played then."""
        histories = batch.histories
        live = histories.track_index >= self.n_known
        if not live.any():
            return self.known_only(batch)
        place = histories.track_index[live] - self.n_known
        pair, voice = np.nonzero(self.track_index[place] != PADDING)
        rows, plays, last_at = histories.row_index[live], histories.plays[live], histories.last_at[live]
        pairs = pl.DataFrame(
            {
                "user_index": np.concatenate([histories.row_index[~live], rows[pair]]),
                "track_index": np.concatenate(
                    [histories.track_index[~live], self.track_index[place[pair], voice]]
                ),
                "plays": np.concatenate(
                    [histories.plays[~live], plays[pair] * self.shares[place[pair], voice]]
                ).astype(np.float32),
                "at": np.concatenate([histories.last_at[~live], last_at[pair]]),
            }
        )
        return replace(
            batch,
            histories=Interactions.from_events(
                pairs, histories.n_rows, self.n_known, ordered=histories.ordered
            ),
        )
