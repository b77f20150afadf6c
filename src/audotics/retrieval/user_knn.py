"""What the listeners with the most similar histories play."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from audotics.data.compressed import Compressed, product
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.item_item import largest_entries, with_data
from audotics.retrieval.learned import LearnedRetriever, strongest_tracks
from audotics.retrieval.protocol import (
    Arrays,
    Choice,
    Explanation,
    Portfolio,
    Range,
    RetrieverConfig,
    SearchSpace,
)
from audotics.retrieval.weighting import HALF_LIFE, HistoryWeights, play_scale, play_weights, weighting_arrays


class UserKNNConfig(RetrieverConfig):
    """Settings of `UserKNN`."""

    n_neighbours: int = Field(100, ge=1)
    """Most similar listeners that vote."""
    rarity: float = Field(1.0, ge=0, le=2)
    """Power of a track's inverse frequency: how much more a rare track in common counts."""
    length_power: float = Field(0.5, ge=0, le=1)
    """Power of a listener's history length that the likeness is divided by (0.5: cosine)."""
    sharpness: float = Field(1.0, gt=0)
    """Power of the likeness that a vote weighs: above 1 the nearest count more."""
    vote_power: float = Field(0.3, ge=0, le=1)
    """Power of a track's listeners that its votes are divided by."""
    play_strength: float = Field(0.0, ge=0)
    """How much repeated plays count in a listener's votes, see `play_weights`."""
    history_strength: float = Field(0.3, ge=0)
    """How much repeated plays count in the history of a query, see `play_weights`."""
    half_life: float | None = Field(None, gt=0)
    """Tracks after which a play in the history counts half, where there is order; see `recency_weights`."""


class UserKNN(LearnedRetriever[UserKNNConfig]):
    """Votes of the listeners whose histories share most with the query's.

    With ``x`` the weighted history of the query and ``y_v`` that of listener v,

        likeness(v) = sum over shared t of x_t y_vt ln(1 + n_users / listeners_t)^rarity / n_v^length_power
        score(t)    = sum over the n nearest v of likeness(v)^sharpness y_vt / listeners(t)^vote_power

    Nothing is trained, so a history never seen is answered like any other. A listener of training is its
    own nearest neighbour, which only votes for what the listener has heard.

    Source: Sarwar, Karypis, Konstan, Riedl, "Analysis of Recommendation Algorithms for E-Commerce" (2000);
    the weighting by rarity follows Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary
    Rated Datasets" (2013).
    """

    name: ClassVar[str] = "user-knn"
    config_type: ClassVar[type[RetrieverConfig]] = UserKNNConfig
    space: ClassVar[SearchSpace] = {
        "n_neighbours": Choice((50, 100, 200, 500, 1000)),
        "rarity": Range(0.0, 1.5),
        "length_power": Range(0.0, 0.8),
        "sharpness": Range(0.5, 3.0),
        "vote_power": Range(0.0, 0.7),
        "play_strength": Choice((0.0, 0.3, 1.0)),
        "history_strength": Choice((0.0, 0.3, 1.0)),
        "half_life": HALF_LIFE,
    }
    portfolio: ClassVar[Portfolio] = ({"half_life": 30.0, "history_strength": 1.0},)

    def learn(self, corpus: Corpus) -> Arrays:
        """Store the histories of all listeners: by track, weighted for comparison; by listener, as votes."""
        interactions, config = corpus.interactions, self.config
        plays = interactions.matrix(
            play_weights(interactions.plays, play_scale(interactions), config.play_strength)
        )
        plays.sort_indices()
        lengths = np.diff(plays.indptr)
        listeners = np.maximum(np.bincount(plays.indices, minlength=corpus.n_tracks), 1)
        rarity = np.log1p(corpus.n_users / listeners) ** config.rarity
        shortness = np.maximum(lengths, 1).astype(np.float64) ** -config.length_power
        compared = plays.data * np.repeat(shortness, lengths) * rarity[plays.indices]
        by_track = with_data(plays, compared).T.tocsr()
        votes = with_data(plays, plays.data * (listeners**-config.vote_power)[plays.indices])
        return {
            "by_track_data": by_track.data,
            "by_track_indices": by_track.indices,
            "by_track_indptr": by_track.indptr,
            "votes_data": votes.data,
            "votes_indices": votes.indices,
            "votes_indptr": votes.indptr,
            **weighting_arrays(interactions),
        }

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``."""
        return self.compact_scores(batch).toarray()

    def compact_scores(self, batch: QueryBatch) -> Compressed:
        """The same, compressed: most tracks get no vote."""
        return product(self._neighbours(self._history(batch.histories)), self._stored("votes"))

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The history track that did most to bring in the neighbours who voted for the track."""
        history = self._history(query.histories)
        neighbours = np.sort(self._neighbours(history).indices)
        by_track = self._stored("by_track")
        voted = self._stored("votes").found(neighbours, track_index) > 0
        shares = voted.astype(np.float32) @ self._likeness(by_track, history.indices, neighbours)
        return strongest_tracks(query.histories, shares * history.data, track_index)

    @staticmethod
    def _likeness(by_track: Compressed, heard: IndexArray, neighbours: IndexArray) -> FloatArray:
        """What each heard track adds to the likeness of each neighbour ``[n_neighbours, n_heard]``."""
        places, lengths = by_track.entries(heard)
        listeners = by_track.indices.take(places)
        is_neighbour = np.zeros(by_track.n_columns, np.bool_)
        is_neighbour[neighbours] = True
        theirs = is_neighbour.take(listeners).nonzero()[0]
        likeness = np.zeros((len(neighbours), len(heard)), np.float32)
        column = np.arange(len(heard)).repeat(lengths)[theirs]
        likeness[neighbours.searchsorted(listeners[theirs]), column] = by_track.data[places[theirs]]
        return likeness

    def _neighbours(self, histories: Compressed) -> Compressed:
        """Weights of the nearest listeners ``[batch, n_users]``."""
        alike = product(histories, self._stored("by_track"))
        kept, rows = largest_entries(alike.data, alike.indices, alike.indptr, self.config.n_neighbours)
        counts = np.bincount(rows, minlength=alike.n_rows)
        return Compressed(
            alike.data[kept] ** np.float32(self.config.sharpness),
            alike.indices[kept],
            np.concatenate([[0], counts.cumsum()]),
            alike.n_columns,
        )

    def _history(self, histories: Interactions) -> Compressed:
        config = self.config
        weights = HistoryWeights.learned(self.arrays(), config.history_strength, config.half_life)
        return weights.rows(histories)

    def _stored(self, name: str) -> Compressed:
        """``by_track [n_tracks, n_users]`` or ``votes [n_users, n_tracks]``."""
        arrays = self.arrays()
        other = "votes" if name == "by_track" else "by_track"
        names = (f"{name}_data", f"{name}_indices", f"{name}_indptr")
        return Compressed.of(arrays, len(arrays[f"{other}_indptr"]) - 1, names)
