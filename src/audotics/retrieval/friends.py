"""What a listener's friends play."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field
from scipy import sparse

from audotics.data.compressed import Compressed, product
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, FloatArray, IndexArray, TimeArray
from audotics.retrieval.item_item import with_data
from audotics.retrieval.learned import LearnedRetriever
from audotics.retrieval.protocol import (
    Arrays,
    Choice,
    Evidence,
    Explanation,
    Range,
    RetrieverConfig,
    SearchSpace,
)
from audotics.retrieval.weighting import play_scale, play_weights


class FriendsConfig(RetrieverConfig):
    """Settings of `Friends`."""

    taste: float = Field(3.0, ge=0, le=10)
    """How much more a friend counts whose history is like the query's: the weight of the cosine."""
    vote_power: float = Field(0.0, ge=0, le=1)
    """Power of a track's listeners that its votes are divided by."""
    play_strength: float = Field(0.3, ge=0)
    """How much repeated plays count in a friend's votes, see `play_weights`."""


class Friends(LearnedRetriever[FriendsConfig]):
    """Votes of those whom a listener calls friends, those of like taste more.

        score(t) = sum over friends f of (1 + taste cosine(history, f)) y_ft / (n_friends listeners(t)^power)

    Works for a listener without any history, and proposes nothing to one without friends, or to somebody
    whom training did not know.

    Source: Ma, Zhou, Liu, Lyu, King, "Recommender Systems with Social Regularization" (2011), on weighing
    friends by likeness of taste.
    """

    name: ClassVar[str] = "friends"
    config_type: ClassVar[type[RetrieverConfig]] = FriendsConfig
    space: ClassVar[SearchSpace] = {
        "taste": Choice((0.0, 1.0, 3.0, 10.0)),
        "vote_power": Range(0.0, 0.7),
        "play_strength": Choice((0.0, 0.3, 1.0)),
    }

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether the users table names friends who are listeners themselves."""
        return friend_matrix(corpus).nnz > 0

    def learn(self, corpus: Corpus) -> Arrays:
        """Store who is whose friend, and everybody's votes."""
        interactions, config = corpus.interactions, self.config
        plays = interactions.matrix(
            play_weights(interactions.plays, play_scale(interactions), config.play_strength)
        )
        plays.sort_indices()
        listeners = np.maximum(np.bincount(plays.indices, minlength=corpus.n_tracks), 1)
        votes = with_data(plays, plays.data * (listeners**-config.vote_power)[plays.indices])
        friends = friend_matrix(corpus)
        return {
            "friends_indices": friends.indices,
            "friends_indptr": friends.indptr,
            "votes_data": votes.data,
            "votes_indices": votes.indices,
            "votes_indptr": votes.indptr,
        }

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``."""
        return self.compact_scores(batch).toarray()

    def compact_scores(self, batch: QueryBatch) -> Compressed:
        """The same, compressed: most tracks get no vote."""
        votes = self._votes(batch.histories.n_tracks)
        return product(self._weights(batch, votes), votes)

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """A friend's play, wherever a friend has played the track."""
        heard = self._votes(query.histories.n_tracks).found(self._friends(query).indices, track_index)
        by_anyone = np.count_nonzero(heard, axis=1).tolist()
        return [Explanation(Evidence.FRIENDS) if n_friends else None for n_friends in by_anyone]

    def _weights(self, batch: QueryBatch, votes: Compressed) -> Compressed:
        """How much each friend's votes count ``[batch, n_users]``."""
        friends = self._friends(batch)
        if not friends.nnz:
            return friends
        row = np.arange(batch.size).repeat(friends.lengths)
        weights = 1.0 / friends.lengths[row]
        if self.config.taste > 0:
            theirs = votes.lengths[friends.indices]
            mine = batch.histories.lengths[row]
            shared = _shared(batch.histories, friends, votes)
            weights *= 1.0 + self.config.taste * shared / np.sqrt(np.maximum(theirs * mine, 1))
        return replace(friends, data=weights.astype(np.float32))

    def _friends(self, batch: QueryBatch) -> Compressed:
        """Friends of each query's listener ``[batch, n_users]``, ones; none of listeners not known."""
        arrays = self.arrays()
        indices, indptr = arrays["friends_indices"], arrays["friends_indptr"]
        everybody = Compressed(indices, indices, indptr, len(indptr) - 1)
        known = (batch.user_index != PADDING).nonzero()[0]
        places, lengths = everybody.entries(batch.user_index[known])
        counts = np.zeros(batch.size, np.int64)
        counts[known] = lengths
        return Compressed(
            np.ones(len(places), np.float32),
            indices.take(places),
            np.concatenate([[0], counts.cumsum()]),
            everybody.n_columns,
        )

    def _votes(self, n_tracks: int) -> Compressed:
        return Compressed.of(self.arrays(), n_tracks, ("votes_data", "votes_indices", "votes_indptr"))


def _shared(histories: Interactions, friends: Compressed, votes: Compressed) -> TimeArray:
    """How many tracks each friend has in common with the query that names them ``[friends.nnz]``."""
    places, lengths = votes.entries(friends.indices)
    friend = np.arange(friends.nnz).repeat(lengths)
    row = np.arange(friends.n_rows).repeat(friends.lengths)[friend]
    heard = histories.row_index.astype(np.int64) * histories.n_tracks + histories.track_index
    common = np.isin(row * histories.n_tracks + votes.indices.take(places), heard)
    return np.bincount(friend[common], minlength=friends.nnz)


def friend_matrix(corpus: Corpus) -> sparse.csr_matrix:
    """Who names whom as a friend ``[n_users, n_users]``, ones; friends who are no listeners are left out."""
    table = corpus.user_table
    if "friends" not in table.columns:
        # Datasets of an earlier release know of none.
        table = table.with_columns(pl.lit(None, pl.List(pl.String)).alias("friends"))
    named = table.select(pl.int_range(pl.len()).alias("row"), "friends").explode("friends").drop_nulls()
    friend = corpus.users.encode(named["friends"])
    known = friend != PADDING
    rows, columns = named["row"].to_numpy()[known], friend[known]
    ones = np.ones(len(rows), np.float32)
    shape = (corpus.n_users, corpus.n_users)
    matrix: sparse.csr_matrix = sparse.coo_matrix((ones, (rows, columns)), shape=shape).tocsr()
    matrix.data[:] = 1.0
    matrix.setdiag(0.0)
    matrix.eliminate_zeros()
    return matrix
