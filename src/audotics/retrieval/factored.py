"""Retrievers whose scores are inner products of a query's vector with every track's vector."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self, TypeVar

import numpy as np

from audotics.data.corpus import Corpus
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.domain import FloatArray
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.learned import LearnedRetriever
from audotics.retrieval.protocol import RetrieverConfig, Scores
from audotics.retrieval.vector_index import LEAST_VECTORS, MOST_QUERIES, VectorIndex

ConfigT = TypeVar("ConfigT", bound=RetrieverConfig)


class FactoredRetriever(LearnedRetriever[ConfigT]):
    """Score of a track = query's vector x its vector; large catalogues are searched through an index.

    Subclasses say where the learned arrays hold the tracks' vectors and make those of queries.
    """

    vectors_name: ClassVar[str]
    """Name of the array ``[n_tracks, dim]``."""

    @abstractmethod
    def query_vectors(self, batch: QueryBatch) -> FloatArray:
        """Vector of each query ``[batch, dim]``; 0 where nothing is known."""

    def fit(self, corpus: Corpus) -> Self:
        """Learn from the corpus, then index the tracks' vectors where there are many."""
        super().fit(corpus)
        vectors = self.arrays()[self.vectors_name]
        if len(vectors) >= LEAST_VECTORS:
            index = VectorIndex.built(vectors, self.query_vectors(some_listeners(corpus)))
            self.arrays().update({} if index is None else index.arrays())
        return self

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``."""
        scores: FloatArray = self.query_vectors(batch) @ self.arrays()[self.vectors_name].T
        return scores

    def compact_scores(self, batch: QueryBatch) -> Scores:
        """The same; only what they are made of where there is an index."""
        index = VectorIndex.of(self.arrays())
        if index is None:
            return self.score(batch)
        return InnerProducts(self.query_vectors(batch), self.arrays()[self.vectors_name], index)


def some_listeners(corpus: Corpus) -> QueryBatch:
    """Listeners with a history, spread over all, asking when they last played something."""
    known = np.flatnonzero(corpus.interactions.lengths)
    chosen = known[:: max(1, len(known) // MOST_QUERIES)][:MOST_QUERIES].astype(np.int32)
    histories = corpus.interactions.rows(chosen)
    asked_at = histories.last_at[histories.indptr[1:] - 1] if corpus.timed else NO_TIME
    nothing = (None,) * len(chosen)
    return QueryBatch(histories, chosen, np.broadcast_to(asked_at, len(chosen)), nothing, nothing)
