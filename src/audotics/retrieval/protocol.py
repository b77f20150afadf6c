"""What every retriever can do, and how it says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from audotics.data.compressed import Compressed
from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.inner_products import InnerProducts

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
"""Learned state: plain arrays by name, saved as ``.npy`` and memory-mapped when loaded."""


Scores: TypeAlias = FloatArray | Compressed | InnerProducts
"""Scores ``[batch, n_tracks]``; in the compressed form what is not stored is 0."""


class RetrieverConfig(BaseModel):
    """Base of retriever settings: frozen, validated, printed into the version's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting searched over a few values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A setting searched between two bounds."""

    low: float
    high: float
    log: bool = False


SearchSpace: TypeAlias = Mapping[str, Choice | Range]
"""Which fields of a configuration tuning may change, and where it looks."""


Portfolio: TypeAlias = tuple[Mapping[str, Any], ...]
"""Settings that suited other kinds of data: tuning tries them before it searches."""


class Evidence(StrEnum):
    """What a retriever's score for a track rests on."""

    TRACK = "track"
    """Another track of the history (`Explanation.cause` is its index)."""
    TERM = "term"
    """A shared artist, album, genre or tag (`Explanation.term`)."""
    HEARD = "heard"
    """The listener has played this very track."""
    FRIENDS = "friends"
    """Friends of the listener play it."""
    POPULAR = "popular"
    """Many listeners play it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one retriever raised one track: the largest single contribution to its score."""

    evidence: Evidence
    cause: int = -1
    term: str = ""


class Retriever(Protocol):
    """Scores every track of the vocabulary for a batch of queries, known listeners or raw histories alike.

    The constructor only stores the configuration; `fit` learns and returns self; `arrays` gives
    the learned state. A second `fit` forgets the first. The score of a query depends on its
    history, its context and (`friends`) the listener's friends only, so a history never seen in
    training is answered the same way.
    """

    name: ClassVar[str]
    space: ClassVar[SearchSpace]
    portfolio: ClassVar[Portfolio]
    quick_to_tune: ClassVar[bool]
    """Whether training may try settings; else only a long search (`audotics tune`) does."""
    config_type: ClassVar[type[RetrieverConfig]]

    def __init__(self, config: Any = None) -> None:
        """Store settings of `config_type`; None takes its defaults."""

    @property
    def config(self) -> RetrieverConfig:
        """The settings in force."""
        ...

    @classmethod
    def applies_to(cls, corpus: Corpus) -> bool:
        """Whether the data has what this retriever needs (order, content, times)."""
        ...

    @classmethod
    def search_space(cls, corpus: Corpus) -> SearchSpace:
        """The part of ``space`` that can matter for this corpus and can be afforded on it."""
        ...

    def fit(self, corpus: Corpus) -> Self:
        """Learn from the corpus."""
        ...

    def score(self, batch: QueryBatch) -> FloatArray:
        """Scores ``[batch, n_tracks]``, higher is better, always finite; 0 where nothing speaks for a track.

        The array is fresh and may be changed by the caller.
        """
        ...

    def compact_scores(self, batch: QueryBatch) -> Scores:
        """What `score` gives, in the form that is cheapest to make.

        An array that is writeable may be changed by the caller, anything else must not.
        """
        ...

    def explain(
        self, batch: QueryBatch, track_index: IndexArray, rows: IndexArray | None = None
    ) -> list[Explanation | None]:
        """Why tracks scored; None where nothing speaks for one.

        Args:
            batch: The queries.
            track_index: ``[n]``.
            rows: ``[n]``, the query of each track; None where there is one track for each query.
        """
        ...

    def arrays(self) -> Arrays:
        """The learned state; strings as fixed-width unicode arrays, never objects."""
        ...

    @classmethod
    def from_arrays(cls, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Fitted again from what ``config.model_dump()`` and `arrays` gave (arrays may be memory-mapped)."""
        ...
