"""The two baselines that need no library: what most listeners play, and what this listener played most."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from audotics.benchmark.peers.scoring import best_tracks
from audotics.benchmark.protocol import Resources, Settings
from audotics.data.interactions import Interactions
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.protocol import SearchSpace


class Popularity:
    """Everybody gets the tracks of most listeners."""

    defaults: ClassVar[Settings] = {}
    space: ClassVar[SearchSpace] = {}

    def __init__(self, settings: Settings, resources: Resources) -> None:
        del settings, resources

    def fit(self, histories: Interactions) -> Self:
        """Count the listeners of each track."""
        self._histories = histories
        counts = np.bincount(histories.track_index, minlength=histories.n_tracks)
        self._n_listeners: FloatArray = counts.astype(np.float32)
        return self

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """See `Peer`."""
        return best_tracks(self._score, self._histories, user_index, k, include_heard=include_heard)

    def _score(self, user_index: IndexArray) -> FloatArray:
        return np.tile(self._n_listeners, (len(user_index), 1))


class MostPlayed:
    """Everybody gets what they played most, the latest first among equals; nothing that is new to them."""

    defaults: ClassVar[Settings] = {}
    space: ClassVar[SearchSpace] = {}

    def __init__(self, settings: Settings, resources: Resources) -> None:
        del settings, resources

    def fit(self, histories: Interactions) -> Self:
        """Keep the histories."""
        self._histories = histories
        return self

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """See `Peer`."""
        return best_tracks(self._score, self._histories, user_index, k, include_heard=include_heard)

    def _score(self, user_index: IndexArray) -> FloatArray:
        rows = self._histories.rows(user_index)
        scores = np.full((len(user_index), rows.n_tracks), -np.inf, np.float32)
        # Histories are oldest first; the place in them, below one play, parts those of equal plays.
        latest = 1.0 / (2.0 + rows.tracks_since)
        scores[rows.row_index, rows.track_index] = rows.plays + latest
        return scores
