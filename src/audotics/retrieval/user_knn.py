"""What the listeners with the most similar histories play."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.item_item import largest_of_rows, with_data
from audotics.retrieval.learned import LearnedRetriever, strongest_track
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
        scores: FloatArray = self.compact_scores(batch).toarray()
        return scores

    def compact_scores(self, batch: QueryBatch) -> sparse.csr_matrix:
        """The same, compressed: most tracks get no vote."""
        return sparse.csr_matrix(self._neighbours(batch.histories) @ self._stored("votes"))

    def explain(self, batch: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The history track that did most to bring in the neighbours who voted for the track."""
        histories = batch.histories
        by_track, votes = self._stored("by_track"), self._stored("votes").T.tocsr()
        heard = by_track[histories.track_index]
        voters = votes[track_index[histories.row_index]].astype(bool)
        neighbours = self._neighbours(histories).astype(bool)[histories.row_index]
        shared = np.asarray(heard.multiply(voters).multiply(neighbours).sum(axis=1)).ravel()
        contributions = self._history(histories).data * shared
        return strongest_track(histories, contributions.astype(np.float32), track_index)

    def _neighbours(self, histories: Interactions) -> sparse.csr_matrix:
        """Weights of the nearest listeners ``[batch, n_users]``."""
        alike = sparse.csr_matrix(self._history(histories) @ self._stored("by_track"))
        nearest = largest_of_rows(alike, self.config.n_neighbours)
        nearest.data **= np.float32(self.config.sharpness)
        return nearest

    def _history(self, histories: Interactions) -> sparse.csr_matrix:
        config = self.config
        weights = HistoryWeights.learned(self.arrays(), config.history_strength, config.half_life)
        return weights.matrix(histories)

    def _stored(self, name: str) -> sparse.csr_matrix:
        """``by_track [n_tracks, n_users]`` or ``votes [n_users, n_tracks]``."""
        arrays = self.arrays()
        shape = (len(arrays["by_track_indptr"]) - 1, len(arrays["votes_indptr"]) - 1)
        parts = tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
        return sparse.csr_matrix(parts, shape=shape if name == "by_track" else shape[::-1], copy=False)
