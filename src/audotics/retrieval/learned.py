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

    def explain(
        self, batch: QueryBatch, track_index: IndexArray, rows: IndexArray | None = None
    ) -> list[Explanation | None]:
        """Why tracks scored; see `Retriever.explain`."""
        if rows is None:
            rows = np.arange(batch.size, dtype=np.int32)
        if batch.size == 1:
            return self.explain_one(batch, track_index)
        found: list[Explanation | None] = [None] * len(rows)
        # What a query is scored with is made once for all of its tracks.
        order = rows.argsort(kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1) if len(order) else ():
            explained = self.explain_one(batch.take(rows[places[:1]]), track_index[places])
            for place, explanation in zip(places.tolist(), explained, strict=True):
                found[place] = explanation
        return found

    @abstractmethod
    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """Why tracks ``[n]`` scored for the one query of a batch."""

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
        # A memory map asks on every access whether it is one still; a plain array shares its memory.
        retriever._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        return retriever


def strongest_tracks(
    history: Interactions, contributions: FloatArray, track_index: IndexArray
) -> list[Explanation | None]:
    """The history track that argues most for each of one query's tracks.

    Args:
        history: One row.
        contributions: ``[n, n_pairs]``, what each pair of the history adds to the score of each track.
        track_index: ``[n]``, the explained tracks.

    Returns:
        One explanation a track; None where no contribution is above 0. A track that argues most for
        itself is `Evidence.HEARD`.
    """
    if not history.n_pairs:
        return [None] * len(track_index)
    strongest = contributions.argmax(axis=1)
    argues = contributions[np.arange(len(strongest)), strongest] > 0
    causes = history.track_index[strongest]
    return [
        Explanation(Evidence.HEARD if cause == track else Evidence.TRACK, cause) if heard else None
        for heard, cause, track in zip(argues.tolist(), causes.tolist(), track_index.tolist(), strict=True)
    ]
