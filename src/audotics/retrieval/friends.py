"""What a listener's friends play."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, FloatArray, IndexArray
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
        scores: FloatArray = self.compact_scores(batch).toarray()
        return scores

    def compact_scores(self, batch: QueryBatch) -> sparse.csr_matrix:
        """The same, compressed: most tracks get no vote."""
        votes = self._votes(batch.histories.n_tracks)
        return sparse.csr_matrix(self._weights(batch, votes) @ votes)

    def explain(self, batch: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """A friend's play, wherever a friend has played the track."""
        votes = self._votes(batch.histories.n_tracks)
        heard = np.asarray(self._friends(batch).multiply(votes.T.tocsr()[track_index]).sum(axis=1)).ravel()
        return [Explanation(Evidence.FRIENDS) if count > 0 else None for count in heard]

    def _weights(self, batch: QueryBatch, votes: sparse.csr_matrix) -> sparse.csr_matrix:
        """How much each friend's votes count ``[batch, n_users]``."""
        friends = self._friends(batch)
        lengths = np.maximum(np.diff(friends.indptr), 1)
        data = friends.data / np.repeat(lengths, np.diff(friends.indptr))
        if self.config.taste > 0:
            heard = votes.astype(bool).astype(np.float32)
            own = batch.histories.matrix()
            shared = np.asarray(
                own[np.repeat(np.arange(batch.size), np.diff(friends.indptr))]
                .multiply(heard[friends.indices])
                .sum(axis=1)
            ).ravel()
            theirs = np.diff(votes.indptr)[friends.indices]
            mine = np.repeat(batch.histories.lengths, np.diff(friends.indptr))
            data = data * (1.0 + self.config.taste * shared / np.sqrt(np.maximum(theirs * mine, 1)))
        return with_data(friends, data)

    def _friends(self, batch: QueryBatch) -> sparse.csr_matrix:
        """Friends of each query's listener ``[batch, n_users]``, ones; none of listeners not known."""
        arrays = self.arrays()
        n_users = len(arrays["friends_indptr"]) - 1
        indices, indptr = arrays["friends_indices"], arrays["friends_indptr"]
        whole = sparse.csr_matrix(
            (np.ones(len(indices), np.float32), indices, indptr), shape=(n_users, n_users)
        )
        known = batch.user_index != PADDING
        chosen = sparse.csr_matrix(whole[np.where(known, batch.user_index, 0)])
        return sparse.csr_matrix(sparse.diags_array(known.astype(np.float32)) @ chosen)

    def _votes(self, n_tracks: int) -> sparse.csr_matrix:
        arrays = self.arrays()
        parts = (arrays["votes_data"], arrays["votes_indices"], arrays["votes_indptr"])
        return sparse.csr_matrix(parts, shape=(len(parts[2]) - 1, n_tracks), copy=False)


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
