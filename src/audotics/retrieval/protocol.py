"""What every retriever can do, and how it says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
"""Learned state: plain arrays by name, saved as ``.npy`` and memory-mapped when loaded."""


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

    def explain(self, batch: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """Why each query's track ``[batch]`` scored; None where nothing speaks for it."""
        ...

    def arrays(self) -> Arrays:
        """The learned state; strings as fixed-width unicode arrays, never objects."""
        ...

    @classmethod
    def from_arrays(cls, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Fitted again from what ``config.model_dump()`` and `arrays` gave (arrays may be memory-mapped)."""
        ...


def top_k(scores: FloatArray, k: int) -> IndexArray:
    """Indices of the ``k`` best per row ``[batch, k]``, best first, ties by lower index, -1 where -inf."""
    k = min(k, scores.shape[1])
    chosen = _at_least_kth(scores, k)
    first = np.arange(len(scores))[:, None] * scores.shape[1]
    part = np.flatnonzero(chosen).reshape(len(scores), k) - first
    values = np.take_along_axis(scores, part, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(part, order, axis=1)
    best[np.take_along_axis(values, order, axis=1) == -np.inf] = PADDING
    return best.astype(np.int32)


def _at_least_kth(scores: FloatArray, k: int) -> BoolArray:
    """Exactly ``k`` True per row ``[batch, n]``: the best, of equals at the edge those of lower index."""
    edge = _kth_values(scores, k)[:, None]
    chosen: BoolArray = scores >= edge
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(crowded):
        equal = scores[crowded] == edge[crowded]
        room = k - np.count_nonzero(chosen[crowded] & ~equal, axis=1)[:, None]
        chosen[crowded] &= ~equal | (np.cumsum(equal, axis=1, dtype=np.int32) <= room)
    return chosen


def _kth_values(scores: FloatArray, k: int) -> FloatArray:
    """The ``k``-th largest value of each row ``[batch]``.

    Selecting in whole rows costs more than computing the scores. A sample of each row guesses a value that
    a little more than ``k`` exceed, and the selection works on those alone; the guess decides only how fast
    it is.
    """
    n = scores.shape[1]
    step = n // _SAMPLED
    if step < 2 or k > n // 4:
        return _partitioned(scores, k)
    expected = k / step
    place = int(expected + 4 * np.sqrt(expected) + 4)
    values: FloatArray = np.partition(scores[:, ::step], -place, axis=1)[:, -place]
    above = scores > values[:, None]
    n_above = np.count_nonzero(above, axis=1)
    enough = np.flatnonzero(n_above >= k)
    if len(enough):
        rows, columns = np.divmod(np.flatnonzero(above[enough]), n)
        ends = np.cumsum(n_above[enough])
        slots = np.arange(len(rows)) - np.repeat(ends - n_above[enough], n_above[enough])
        passed = np.full((len(enough), n_above[enough].max()), -np.inf, np.float32)
        passed[rows, slots] = scores[enough[rows], columns]
        values[enough] = _partitioned(passed, k)
    # Elsewhere the guess itself is the value (many are equal to it), unless too few reach it.
    others = np.flatnonzero(n_above < k)
    missed = others[np.count_nonzero(scores[others] >= values[others, None], axis=1) < k]
    values[missed] = _partitioned(scores[missed], k)
    return values


_SAMPLED = 1024
"""About how many scores of each row guess where to cut."""


def _partitioned(scores: FloatArray, k: int) -> FloatArray:
    values: FloatArray = np.partition(scores, -k, axis=1)[:, -k]
    return values
