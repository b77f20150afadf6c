"""An event in memory and as a row of the database, and what it must be like to become one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from audotics.data.schema import CONTEXT_PREFIX, EVENT_KINDS, MAX_ID_BYTES
from audotics.errors import BadInputError
from audotics.journal.tables import events as table
from audotics.journal.texts import check_id, check_text

_KINDS = frozenset(EVENT_KINDS)
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One listener did one thing with one track at one time, in a context.

    Args:
        event_id: Given by the sender; a second event with the same id is the same event.
        user_id: The listener.
        track_id: The track.
        at_us: When it happened, in UTC microseconds.
        event: One of `audotics.data.schema.EVENT_KINDS`.
        ms_played: How long the track was heard.
        session_id: The listening session.
        device: Where it was heard.
        country: Where the listener was.
        context: Anything else, by the name of its column in a dataset (``context_*``).
        request_id: The answer that the listener followed.
    """

    event_id: str
    user_id: str
    track_id: str
    at_us: int
    event: str = EVENT_KINDS[0]
    ms_played: int | None = None
    session_id: str | None = None
    device: str | None = None
    country: str | None = None
    context: Mapping[str, str] = field(default_factory=dict, hash=False)
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its place in the journal and the time of its arrival (UTC microseconds)."""

    seq: int
    event: JournalEvent
    received_us: int


Values = tuple[str | int | None, ...]
"""Columns of the events table in its order."""

COLUMNS = tuple(table.columns)


def to_values(event: JournalEvent, received_us: int) -> Values:
    """The event's row, all but ``seq``.

    Raises:
        BadInputError: It cannot be stored.
    """
    try:
        _check(event)
    except ValueError as error:
        raise BadInputError(str(error), where=f"event {event.event_id[:MAX_ID_BYTES]!r}") from error
    return (
        event.event_id,
        event.user_id,
        event.track_id,
        event.at_us,
        event.event,
        event.ms_played,
        event.session_id,
        event.device,
        event.country,
        json.dumps(dict(event.context)) if event.context else None,
        event.request_id,
        received_us,
    )


def to_recorded(
    seq: int,
    event_id: str,
    user_id: str,
    track_id: str,
    at_us: int,
    event: str,
    ms_played: int | None,
    session_id: str | None,
    device: str | None,
    country: str | None,
    context: str | None,
    request_id: str | None,
    received_us: int,
) -> Recorded:
    """The event of a row."""
    parsed: dict[str, str] = json.loads(context) if context else {}
    return Recorded(
        seq,
        JournalEvent(
            event_id,
            user_id,
            track_id,
            at_us,
            event,
            ms_played,
            session_id,
            device,
            country,
            parsed,
            request_id,
        ),
        received_us,
    )


def _check(event: JournalEvent) -> None:
    """Raise ValueError for what one of the databases would refuse, or what no dataset could hold."""
    check_id("event_id", event.event_id)
    check_id("user_id", event.user_id)
    check_id("track_id", event.track_id)
    if event.event not in _KINDS:
        raise ValueError(f"event must be one of {', '.join(EVENT_KINDS)}")
    if not -_MOST <= event.at_us <= _MOST or not 0 <= (event.ms_played or 0) <= _MOST:
        raise ValueError("at_us and ms_played must be 64-bit integers, ms_played not negative")
    given = (event.event_id, event.user_id, event.track_id)
    optional = (event.session_id or "", event.device or "", event.country or "", event.request_id or "")
    check_text("".join(given + optional))  # once for all: an event costs microseconds
    if event.context:
        _check_context(event.context)


def _check_context(context: Mapping[str, str]) -> None:
    for name, value in context.items():
        if not name.startswith(CONTEXT_PREFIX):
            raise ValueError(f"context has {name!r}, and names in it begin with {CONTEXT_PREFIX!r}")
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text")
