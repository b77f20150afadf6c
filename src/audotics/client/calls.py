"""The requests of the API as values: what both clients send, and what they make of the answers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from audotics.client.answers import (
    Document,
    Erased,
    EventsTaken,
    Health,
    Recommendations,
    TrackPut,
    erased_of,
    events_taken_of,
    health_of,
    recommendations_of,
    track_put_of,
)

EVENTS_PER_CALL = 1000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """One request.

    Args:
        method: Of HTTP.
        path: With ids escaped.
        read: From the JSON of the answer to the result.
        params: Query parameters; None is left out.
        body: Sent as JSON; None for no body.
        taken: Statuses that are answers; any other one is an error.
    """

    method: str
    path: str
    read: Callable[[Document], Result]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    taken: frozenset[int] = frozenset({200})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a listener did.

    Args:
        user_id: The listener.
        track_id: The track.
        event: play, complete, skip, like, dislike or add_to_playlist.
        timestamp: When; None is the moment of sending. Without a zone it is UTC.
        event_id: None draws one when it is sent, so that retries count once.
        ms_played: How long the track was heard.
        session_id: The listening session.
        device: Where it was heard.
        country: Where the listener was.
        request_id: The recommendation that it follows from.
        context: Anything else, by names that begin with ``context_``.
    """

    user_id: str
    track_id: str
    event: str = "play"
    timestamp: datetime | None = None
    event_id: str | None = None
    ms_played: int | None = None
    session_id: str | None = None
    device: str | None = None
    country: str | None = None
    request_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As it is sent: with an id and a time."""
        sent = replace(
            self, event_id=self.event_id or uuid.uuid4().hex, timestamp=self.timestamp or datetime.now(UTC)
        )
        said = {name: getattr(sent, name) for name in self.__slots__ if name != "context"}
        said["timestamp"] = sent.timestamp.isoformat() if sent.timestamp else None
        return {name: value for name, value in said.items() if value is not None} | dict(self.context)


def recommendations(
    user_id: str,
    *,
    k: int = 10,
    mode: str | None = None,
    device: str | None = None,
    country: str | None = None,
    exclude: Sequence[str] = (),
    explain: bool = True,
) -> Call[Recommendations]:
    """Recommend tracks to a listener.

    Args:
        user_id: The listener, known or not.
        k: How many tracks.
        mode: discover, mix or familiar.
        device: Of the listener.
        country: Of the listener.
        exclude: Tracks to leave out.
        explain: Whether each track says why.
    """
    params = {"k": k, "mode": mode, "device": device, "country": country, "exclude": [*exclude] or None}
    path = f"/v1/users/{_escaped(user_id)}/recommendations"
    return Call("GET", path, recommendations_of, {**params, "explain": explain})


def recommend(**wish: Any) -> Call[Recommendations]:
    """Recommend tracks for a listener, a history, favourite artists or a group.

    Args:
        **wish: Fields of the body of ``POST /v1/recommendations``: user_id, history, artists, group, k, mode,
            blocked, weights, familiarity, rules and others (see ``/docs``).
    """
    return Call("POST", "/v1/recommendations", recommendations_of, body=wish)


def similar(track_id: str, *, k: int = 10, explain: bool = True) -> Call[Recommendations]:
    """Tracks like this one."""
    params = {"k": k, "explain": explain}
    return Call("GET", f"/v1/tracks/{_escaped(track_id)}/similar", recommendations_of, params)


def radio(
    track_id: str, *, k: int = 25, user_id: str | None = None, explain: bool = True
) -> Call[Recommendations]:
    """A radio that starts from this track; what ``user_id`` dislikes stays out."""
    params = {"k": k, "user_id": user_id, "explain": explain}
    return Call("GET", f"/v1/tracks/{_escaped(track_id)}/radio", recommendations_of, params)


def continue_playlist(
    tracks: Sequence[str] = (), *, title: str | None = None, k: int = 10, explain: bool = True
) -> Call[Recommendations]:
    """What comes next in a playlist; with a title and no tracks, how one could begin."""
    body = {"tracks": [*tracks], "title": title, "k": k, "explain": explain}
    return Call("POST", "/v1/playlists/continue", recommendations_of, body=body)


def put_track(track_id: str, **document: Any) -> Call[TrackPut]:
    """Add or change a track; needs a key of scope write.

    Args:
        track_id: The track.
        **document: title, artist_id, artist, album, genres, tags and others (see ``/docs``).
    """
    path = f"/v1/tracks/{_escaped(track_id)}"
    return Call("PUT", path, track_put_of, body=document, taken=frozenset({200, 201}))


def erase(user_id: str) -> Call[Erased]:
    """Erase a listener everywhere; needs a key of scope admin."""
    return Call("DELETE", f"/v1/users/{_escaped(user_id)}", erased_of)


def health() -> Call[Health]:
    """How the server is."""
    return Call("GET", "/health/ready", health_of)


def events(sent: Sequence[Event]) -> list[Call[EventsTaken]]:
    """Events as calls of at most `EVENTS_PER_CALL`; ids and times are settled here, once for all tries."""
    documents = [event.document() for event in sent]
    return [
        Call(
            "POST",
            "/v1/events",
            events_taken_of,
            body=documents[start : start + EVENTS_PER_CALL],
            taken=frozenset({200, 422}),  # 422: not one of them is valid
        )
        for start in range(0, len(documents), EVENTS_PER_CALL)
    ]


def together(parts: Sequence[EventsTaken]) -> EventsTaken:
    """The results of `events` as one, with places among all events."""
    errors = [
        replace(error, index=error.index + number * EVENTS_PER_CALL)
        for number, part in enumerate(parts)
        for error in part.errors
    ]
    accepted, duplicates = sum(part.accepted for part in parts), sum(part.duplicates for part in parts)
    return EventsTaken(accepted, duplicates, tuple(errors))


def _escaped(id_: str) -> str:
    # Dots need no escape, except where they are all there is: then they would mean another folder.
    return id_.replace(".", "%2E") if id_ in {".", ".."} else quote(id_, safe="")
