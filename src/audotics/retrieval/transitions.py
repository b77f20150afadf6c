"""What listeners play next: transitions between tracks in the order of listening."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field
from scipy import sparse

from audotics.data.compressed import Compressed
from audotics.data.corpus import POSITIVE_EVENTS, Corpus
from audotics.data.interactions import Interactions
from audotics.domain import IndexArray
from audotics.retrieval.item_item import ItemItemRetriever, largest_of_rows, weight_arrays
from audotics.retrieval.protocol import Arrays, Choice, Range, RetrieverConfig, SearchSpace

SESSION_GAP_US = 3_600_000_000
"""An hour without a play ends a session where the data does not name sessions."""


class TransitionsConfig(RetrieverConfig):
    """Settings of `Transitions`."""

    n_neighbours: int = Field(200, ge=1)
    """Successors kept for each track."""
    window: int = Field(10, ge=1, le=50)
    """How many plays later still count as next; the d-th counts ``1 / d``."""
    backward: float = Field(0.5, ge=0, le=1)
    """How much the track before counts as if it came after."""
    popularity_power: float = Field(0.2, ge=0, le=1)
    """Power of a successor's total weight that its transitions are divided by."""
    n_recent: int = Field(50, ge=1)
    """Tracks at the end of a history that propose successors."""
    decay: float = Field(0.97, gt=0, le=1)
    """Factor between one recent track and the one before it."""


class Transitions(ItemItemRetriever[TransitionsConfig]):
    """Weights of "t was played soon after j" for the last tracks of a history.

    With ``c_jt`` the transitions counted ``1 / distance`` inside sessions, ``w_jt = c_jt / (c_j c_t^beta)``,
    and the i-th last track of a history counts ``decay^i``.
    """

    name: ClassVar[str] = "transitions"
    config_type: ClassVar[type[RetrieverConfig]] = TransitionsConfig
    space: ClassVar[SearchSpace] = {
        "window": Choice((1, 2, 5, 10)),
        "backward": Range(0.0, 1.0),
        "popularity_power": Range(0.0, 0.8),
        "n_recent": Choice((1, 3, 10, 50)),
        "decay": Range(0.5, 1.0),
    }

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether the order of plays is known."""
        return corpus.interactions.ordered and corpus.interactions.n_pairs > 0

    def learn(self, corpus: Corpus) -> Arrays:
        """Count transitions and normalise them."""
        counts = self._count(corpus)
        towards = np.asarray(counts.sum(axis=0)).ravel()
        away = np.asarray(counts.sum(axis=1)).ravel()
        entries = counts.tocoo()
        popularity = towards[entries.col] ** self.config.popularity_power
        data = (entries.data / (away[entries.row] * popularity)).astype(np.float32)
        weights = sparse.csr_matrix((data, (entries.row, entries.col)), shape=counts.shape)
        return weight_arrays(largest_of_rows(weights, self.config.n_neighbours))

    def history(self, histories: Interactions) -> Compressed:
        """The last tracks, fading backwards; a query whose order is unknown has none that is last."""
        weights = np.ones(histories.n_pairs, np.float32)
        if histories.ordered:
            since = histories.tracks_since
            faded = self.config.decay ** since.astype(np.float32)
            weights = np.where(since < self.config.n_recent, faded, 0.0).astype(np.float32)
        return Compressed(weights, histories.track_index, histories.indptr, histories.n_tracks)

    def _count(self, corpus: Corpus) -> sparse.csr_matrix:
        """Weighted transitions ``[n_tracks, n_tracks]`` without those from a track to itself."""
        tracks, session = _sessions(corpus)
        forward = _followers(tracks, session, 1, corpus.n_tracks)
        # One distance at a time: all of them at once would be a multiple of the events.
        for distance in range(2, self.config.window + 1):
            further = _followers(tracks, session, distance, corpus.n_tracks)
            forward = sparse.csr_matrix(forward + further * np.float32(1.0 / distance))
        both: sparse.csr_matrix = forward + self.config.backward * forward.T.tocsr()
        both.eliminate_zeros()
        return both


def _followers(
    tracks: IndexArray, session: npt.NDArray[np.int64], distance: int, n_tracks: int
) -> sparse.csr_matrix:
    """How often one track comes ``distance`` plays after another in a session ``[n_tracks, n_tracks]``."""
    before, after = tracks[:-distance], tracks[distance:]
    counted = (session[:-distance] == session[distance:]) & (before != after)
    ones = np.ones(np.count_nonzero(counted), np.float32)
    return sparse.csr_matrix((ones, (before[counted], after[counted])), shape=(n_tracks, n_tracks))


def _sessions(corpus: Corpus) -> tuple[IndexArray, npt.NDArray[np.int64]]:
    """Tracks of positive events in order ``[n_events]`` and the number of the session of each."""
    events = (
        corpus.events.filter(pl.col("event").is_in(POSITIVE_EVENTS) & (pl.col("at") >= 0))
        .select("user_index", "track_index", "at", "session_id")
        .sort("user_index", "at", maintain_order=True)
    )
    pause = SESSION_GAP_US if corpus.timed else np.iinfo(np.int64).max
    unnamed = pl.col("session_id").is_null()
    begins = (
        (pl.col("user_index") != pl.col("user_index").shift())
        | (pl.col("session_id") != pl.col("session_id").shift()).fill_null(False)
        | (unnamed & (pl.col("at").diff() > pause))
    ).fill_null(True)
    numbered = events.select("track_index", begins.cast(pl.Int64).cum_sum().alias("session"))
    return numbered["track_index"].to_numpy(), numbered["session"].to_numpy()
