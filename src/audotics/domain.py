"""The words of the flow: Query -> Candidates -> Slate, as frozen dataclasses of arrays.

Shapes used everywhere: ``n_users``, ``n_tracks``, ``batch`` (queries answered together),
``width`` (candidates per query, padded with -1), ``n_retrievers``, ``k`` (slate length).
``*_id`` is a string of the outside world, ``*_index`` its number in a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float32]
IndexArray: TypeAlias = npt.NDArray[np.int32]
TimeArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

PADDING = -1
"""Index of 'nothing here': an unknown user, an unknown track, an unused candidate slot."""


class Mode(StrEnum):
    """How much of the slate may be tracks the listener has already heard."""

    MIX = "mix"
    DISCOVER = "discover"
    FAMILIAR = "familiar"


@dataclass(frozen=True, slots=True)
class Context:
    """What is known at request time, beside the listener."""

    at: datetime | None = None
    device: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One wish for recommendations: for a known listener or for a raw history.

    Args:
        user_id: The listener, known to training or not. None asks anonymously.
        history: Track ids heard, oldest first. None takes what training knows of ``user_id``.
        k: Length of the slate.
        mode: Familiar, discover or a mix; ``discover`` leaves heard tracks out.
        exclude: Track ids that must not be in the slate.
        context: Time, device and country of the request.
    """

    user_id: str | None = None
    history: tuple[str, ...] | None = None
    k: int = 10
    mode: Mode = Mode.DISCOVER
    exclude: tuple[str, ...] = ()
    context: Context = field(default_factory=Context)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Tracks proposed for a batch of queries, with what each retriever thought of them.

    Args:
        track_index: ``[batch, width]``, padded with -1.
        scores: ``[batch, width, n_retrievers]``, raw score of every retriever for every
            candidate (also for those it did not propose itself); 0 where padded.
        ranks: ``[batch, width, n_retrievers]``, 1 = best among the listener's allowed tracks;
            ``depth + 1`` where the retriever did not propose it.
        retrievers: Names, in the order of the last axis.
        depth: Length of each retriever's own list.
    """

    track_index: IndexArray
    scores: FloatArray
    ranks: FloatArray
    retrievers: tuple[str, ...]
    depth: int

    @property
    def present(self) -> BoolArray:
        """``[batch, width]``: True where a slot holds a track."""
        present: BoolArray = self.track_index != PADDING
        return present


@dataclass(frozen=True, slots=True)
class Slate:
    """The ordered answer to one query, best first.

    Args:
        user_id: Whom it is for; None for an anonymous query.
        track_ids: ``k`` ids or fewer where the catalogue has no more to give.
        scores: ``[k]``, higher is better, comparable inside this slate only.
        sources: The retriever that argued most for each track.
        reasons: One honest phrase for each track.
    """

    user_id: str | None
    track_ids: tuple[str, ...]
    scores: FloatArray
    sources: tuple[str, ...]
    reasons: tuple[str, ...]
