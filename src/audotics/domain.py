"""The words of the flow: Query -> Candidates -> Slate -> Exposure, as frozen dataclasses of arrays.

Shapes used everywhere: ``n_users``, ``n_tracks``, ``batch`` (queries answered together),
``width`` (candidates per query, padded with -1), ``n_retrievers``, ``k`` (slate length).
``*_id`` is a string of the outside world, ``*_index`` its number in a vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

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
class Block:
    """What a listener does not want to hear: one track, or everything by one artist.

    Args:
        track_id: The track; exactly one of the two is given.
        artist_id: The artist, by the catalogue's id or, where it has none, by name.
        until: When it may come back; None means never. Judged at the time of the request.
    """

    track_id: str | None = None
    artist_id: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a listener did with a track after training ended.

    Args:
        track_id: The track, known to training or not.
        at: When.
        event: A kind of ``data.schema.EVENT_KINDS``.
    """

    track_id: str
    at: datetime
    event: str = "play"


class GroupStrategy(StrEnum):
    """How the wishes of several listeners become one list."""

    AVERAGE = "average"
    LEAST_MISERY = "least_misery"
    TURNS = "turns"


@dataclass(frozen=True, slots=True)
class Query:
    """One wish for recommendations: for a known listener, a raw history, favourite artists or a group.

    Args:
        user_id: The listener, known to training or not. None asks anonymously.
        history: Track ids heard, oldest first. None takes what training knows of ``user_id``.
        k: Length of the slate.
        mode: Familiar, discover or a mix; ``discover`` leaves heard tracks out.
        exclude: Track ids that must not be in the slate.
        context: Time, device and country of the request.
        artists: Favourite artists, by id or name: their most played tracks stand for a history, after
            which ``history`` follows where it is given. For listeners who have played nothing yet.
        group: 2 to 50 listeners who hear the slate together, instead of one ``user_id``.
        strategy: How the members' wishes become one list.
        weights: How much each head of the ranker counts beside its order (``skip`` usually below 0).
        surface: A named preset of ``weights``.
        familiarity: 0 (only the unheard is wanted) to 1 (only the heard is); None is what ``mode`` says.
        blocked: Tracks and artists that must not appear, for ever or until a date.
        market: Where the licences of the request are judged; None takes the country of the context.
        allow_explicit: Whether tracks marked as explicit may appear.
        rules: Settings of the slate that this request changes, by name (`audotics.slate.SlateConfig`).
        seed: Fixes what exploration draws; None derives it from the other fields.
    """

    user_id: str | None = None
    history: tuple[str, ...] | None = None
    k: int = 10
    mode: Mode = Mode.DISCOVER
    exclude: tuple[str, ...] = ()
    context: Context = field(default_factory=Context)
    artists: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    strategy: GroupStrategy = GroupStrategy.AVERAGE
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)
    surface: str | None = None
    familiarity: float | None = None
    blocked: tuple[Block, ...] = ()
    market: str | None = None
    allow_explicit: bool = True
    rules: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seed: int | None = None

    @property
    def listeners(self) -> tuple[str, ...]:
        """Everybody whom the query names: the group, or the one listener."""
        return self.group or (() if self.user_id is None else (self.user_id,))


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

    def part(self, start: int, stop: int) -> Candidates:
        """The lists ``start`` to ``stop``; shares their memory."""
        rows = slice(start, stop)
        return Candidates(
            self.track_index[rows], self.scores[rows], self.ranks[rows], self.retrievers, self.depth
        )


@dataclass(frozen=True, slots=True)
class Slate:
    """The ordered answer to one query, best first.

    Args:
        user_id: Whom it is for; None for an anonymous query.
        track_ids: ``k`` ids or fewer where the catalogue has no more to give.
        scores: ``[k]``, higher is better, comparable inside this slate only.
        sources: The retriever that argued most for each track.
        reasons: One honest phrase for each track.
        propensities: ``[k]``, chance that the rules show each track at its place (with
            exploration; at any place of the slate where ``flow`` orders it); 1 without exploration.
    """

    user_id: str | None
    track_ids: tuple[str, ...]
    scores: FloatArray
    sources: tuple[str, ...]
    reasons: tuple[str, ...]
    propensities: FloatArray


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was shown to whom, for the log that later estimates what other policies would have done.

    Args:
        request_id: Names the answer; feedback refers to it.
        user_id: Whom it was shown to; None for an anonymous query.
        at: When, in UTC.
        track_ids: ``k`` ids in the order shown.
        scores: ``[k]``, as in the slate.
        propensities: ``[k]``, as in the slate; divide by them, never by a guess.
        model_version: The version that answered.
        variant: The experiment's arm, empty outside experiments.
        teams: ``k`` names of arms in an interleaved slate: whose track each is, empty where it is of both.
            Empty for every other slate.
    """

    request_id: str
    user_id: str | None
    at: datetime
    track_ids: tuple[str, ...]
    scores: FloatArray
    propensities: FloatArray
    model_version: str
    variant: str = ""
    teams: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, slate: Slate, *, request_id: str, at: datetime, model_version: str, variant: str = ""
    ) -> Exposure:
        """The exposure of a whole slate."""
        return cls(
            request_id=request_id,
            user_id=slate.user_id,
            at=at,
            track_ids=slate.track_ids,
            scores=slate.scores,
            propensities=slate.propensities,
            model_version=model_version,
            variant=variant,
        )
