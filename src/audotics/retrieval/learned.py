"""What all retrievers of this room share: stored settings, learned state as arrays, the round trip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.errors import NotFittedError
from audotics.retrieval.protocol import (
    Arrays,
    Evidence,
    Explanation,
    Portfolio,
    RetrieverConfig,
    Scores,
    SearchSpace,
)

ConfigT = TypeVar("ConfigT", bound=RetrieverConfig)


class LearnedRetriever(ABC, Generic[ConfigT]):
    """A retriever whose whole learned state is a dictionary of arrays.

    Subclasses implement `learn`, which returns that dictionary, `score` and `explain`, which read it
    through `arrays`; saving, loading and forgetting an earlier fit then come for free.

    Args:
        config: The settings; the defaults of ``config_type`` where None.
    """

    name: ClassVar[str]
    space: ClassVar[SearchSpace]
    portfolio: ClassVar[Portfolio] = ()
    quick_to_tune: ClassVar[bool] = True
    config_type: ClassVar[type[RetrieverConfig]]

    def __init__(self, config: ConfigT | None = None) -> None:
        self._config = cast(ConfigT, self.config_type()) if config is None else config
        self._arrays: Arrays | None = None

    @property
    def config(self) -> ConfigT:
        """The settings in force."""
        return self._config

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether the data has what this retriever needs: at least one interaction."""
        return corpus.interactions.n_pairs > 0

    @classmethod
    def search_space(cls, corpus: Corpus) -> SearchSpace:
        """``space`` without what cannot matter: no order, nothing fades; no counts, no play weighs more."""
        interactions = corpus.interactions
        idle = set() if interactions.ordered else {"half_life"}
        if interactions.n_pairs and (interactions.plays == interactions.plays[0]).all():
            idle |= {"play_strength", "history_strength"}
        return {name: where for name, where in cls.space.items() if name not in idle}

    @abstractmethod
    def learn(self, corpus: Corpus) -> Arrays:
        """The state that `fit` keeps, computed from nothing but the corpus and the settings."""

    def fit(self, corpus: Corpus) -> Self:
        """Learn from the corpus; an earlier fit is forgotten."""
        self._arrays = self.learn(corpus)
        return self

    @abstractmethod
    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``, a fresh array; see `Retriever.score`."""

    def compact_scores(self, batch: QueryBatch) -> Scores:
        """The same; those whose scores are mostly 0 give them compressed."""
        return self.score(batch)

    @abstractmethod
    def explain(self, batch: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """Why each query's track ``[batch]`` scored; see `Retriever.explain`."""

    def arrays(self) -> Arrays:
        """The learned state by name.

        Raises:
            NotFittedError: before `fit`.
        """
        if self._arrays is None:
            raise NotFittedError(self.name)
        return self._arrays

    @classmethod
    def from_arrays(cls, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Fitted again from what ``config.model_dump()`` and `arrays` gave (arrays may be memory-mapped)."""
        retriever = cls(cast(ConfigT, cls.config_type.model_validate(dict(config))))
        retriever._arrays = dict(arrays)
        return retriever


def strongest_track(
    histories: Interactions, contributions: FloatArray, track_index: IndexArray
) -> list[Explanation | None]:
    """The history track that argues most for each query's track.

    Args:
        histories: ``batch`` rows.
        contributions: ``[n_pairs]``, what each pair of ``histories`` adds to the score of its query's track.
        track_index: ``[batch]``, the explained tracks.

    Returns:
        One explanation a query; None where no contribution is above 0. A track that argues most for
        itself is `Evidence.HEARD`.
    """
    best: list[Explanation | None] = [None] * histories.n_rows
    order = np.lexsort((-contributions, histories.row_index))
    strongest = order[histories.indptr[:-1][histories.lengths > 0]]
    for pair in strongest[contributions[strongest] > 0]:
        row, cause = int(histories.row_index[pair]), int(histories.track_index[pair])
        evidence = Evidence.HEARD if cause == track_index[row] else Evidence.TRACK
        best[row] = Explanation(evidence, cause)
    return best
