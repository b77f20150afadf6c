"""Where the models of a training run are fitted."""

from __future__ import annotations

from audotics.data.corpus import Corpus
from audotics.ranking.deep import FitModel
from audotics.retrieval.protocol import Retriever


class Learners:
    """Fit everything in this process; those of a cluster do elsewhere what they have a way for."""

    @property
    def fit_deep(self) -> FitModel | None:
        """What trains the deep ranker; None is this process."""
        return None

    def fit_retriever(self, retriever: Retriever, corpus: Corpus) -> Retriever:
        """The retriever, fitted."""
        return retriever.fit(corpus)
