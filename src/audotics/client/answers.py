"""What the server answers, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class RecommendedTrack:
    """A track of a slate.

    Args:
        track_id: The track.
        rank: 1 is best.
        score: Higher is better, comparable inside one answer only.
        source: The retriever that argued most for it.
        propensity: Chance that the rules show it here.
        reason: Why, in one phrase; None where no reasons were asked for.
    """

    track_id: str
    rank: int
    score: float
    source: str
    propensity: float
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A slate and how it came about.

    Args:
        tracks: Best first.
        request_id: Names the answer; send it with the events that follow.
        user_id: Whom it is for.
        model_version: What answered.
        variant: Arm of an experiment, empty outside.
        rung: ``personalised`` or a lower step of the ladder.
        served_from: ``computed``, ``cache`` or ``stale``.
        degraded: What was missing, mostly nothing.
    """

    tracks: tuple[RecommendedTrack, ...]
    request_id: str
    user_id: str | None
    model_version: str
    variant: str
    rung: str
    served_from: str
    degraded: tuple[str, ...]

    @property
    def track_ids(self) -> tuple[str, ...]:
        """Ids of the tracks, best first."""
        return tuple(track.track_id for track in self.tracks)


@dataclass(frozen=True, slots=True)
class EventError:
    """Why an event was not taken: its place among those sent, the field and the reason."""

    index: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class EventsTaken:
    """What became of events.

    Args:
        accepted: Durable now.
        duplicates: Durable before, mostly by a try whose answer got lost.
        errors: The others.
    """

    accepted: int
    duplicates: int
    errors: tuple[EventError, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a listener's data."""

    user_id: str
    erased_events: int
    note: str


@dataclass(frozen=True, slots=True)
class TrackPut:
    """What became of a track: whether it is recommended from now on, and why not or what holds."""

    track_id: str
    recommendable: bool
    note: str


@dataclass(frozen=True, slots=True)
class Health:
    """How the server is: ``ok`` or ``degraded``, and its trouble."""

    status: str
    model_version: str | None
    trouble: tuple[str, ...]


Document = Mapping[str, Any]


class _Slotted(Protocol):
    __slots__: tuple[str, ...]


Record = TypeVar("Record", bound=_Slotted)


def recommendations_of(said: Document) -> Recommendations:
    """The record of an answer; fields of later servers are ignored."""
    return Recommendations(
        tracks=tuple(_known(RecommendedTrack, track) for track in said["tracks"]),
        request_id=said["request_id"],
        user_id=said["user_id"],
        model_version=said["model_version"],
        variant=said["variant"],
        rung=said["rung"],
        served_from=said["served_from"],
        degraded=tuple(said["degraded"]),
    )


def events_taken_of(said: Document) -> EventsTaken:
    """The record of an answer, or of the problem document that tells that no event was valid."""
    errors = tuple(_known(EventError, error) for error in said["errors"])
    return EventsTaken(said.get("accepted", 0), said.get("duplicates", 0), errors)


def erased_of(said: Document) -> Erased:
    """The record of an answer."""
    return _known(Erased, said)


def track_put_of(said: Document) -> TrackPut:
    """The record of an answer."""
    return _known(TrackPut, said)


def health_of(said: Document) -> Health:
    """The record of an answer."""
    return Health(said["status"], said["model_version"], tuple(said["trouble"]))


def _known(record: type[Record], said: Document) -> Record:
    """A record of the fields that it has: later servers may say more."""
    return record(**{name: said[name] for name in record.__slots__ if name in said})
