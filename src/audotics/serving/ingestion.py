"""Events on their way in: checked one by one, made durable together, taken into the profiles."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from audotics.data.schema import MAX_ID_BYTES
from audotics.errors import BadInputError, UnavailableError
from audotics.journal.committer import GroupCommitter
from audotics.journal.events import JournalEvent, Receipt, Recorded
from audotics.serving.metrics import Metrics
from audotics.serving.profiles import Profiles, bounded_time
from audotics.serving.schemas import MAX_EVENTS, EventIn

ACKNOWLEDGE_S = 2.0
"""A journal that does not answer for so long is told of as one that is away."""

_ONE = TypeAdapter(EventIn)
_MANY = TypeAdapter(tuple[EventIn, ...])


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the events of a request.

    Args:
        accepted: Durable now.
        duplicates: Durable before.
        errors: The others: place in the request, field and reason.
    """

    accepted: int
    duplicates: int
    errors: tuple[dict[str, Any], ...]

    def json(self) -> bytes:
        """See `EventsAnswer`."""
        return orjson.dumps(
            {
                "accepted": self.accepted,
                "duplicates": self.duplicates,
                "rejected": len(self.errors),
                "errors": self.errors,
            }
        )


class Ingestion:
    """Takes events in.

    Args:
        committer: Makes them durable.
        profiles: Learn of them at once.
        metrics: Counts them.
    """

    def __init__(self, committer: GroupCommitter, profiles: Profiles, metrics: Metrics) -> None:
        self._committer = committer
        self._profiles = profiles
        self._metrics = metrics

    async def take(self, raw: bytes) -> Taken:
        """Make the events of a request body durable; those that are not valid are told by their place.

        Raises:
            BadInputError: The body is no event, no list of events, or too long a list.
            UnavailableError: The journal cannot take them now; none of them counts.
        """
        rows, errors = _parsed(raw)
        now = datetime.now(UTC)
        events: list[JournalEvent] = []
        places: list[int] = []
        for index, row in rows:
            at = bounded_time(row.timestamp or now, now)
            if at is None:
                errors.append(_refused(index, "in the future or before 1990"))
            else:
                events.append(_journal_event(row, at))
                places.append(index)
        duplicates = 0
        if events:
            receipts = await self._durable(events)
            received = time.time_ns() // 1000
            told = list(zip(places, receipts, events, strict=True))
            self._profiles.take(
                Recorded(receipt.seq, event, received)
                for _, receipt, event in told
                if receipt.kept and not receipt.duplicate
            )
            duplicates = sum(receipt.duplicate for receipt in receipts)
            errors += [_refused(index, _ERASED) for index, receipt, _ in told if not receipt.kept]
        errors.sort(key=lambda error: int(error["index"]))
        n_lost = sum(error["reason"] == _ERASED for error in errors)
        taken = Taken(len(events) - n_lost - duplicates, duplicates, tuple(errors))
        self._metrics.events("accepted", taken.accepted)
        self._metrics.events("duplicate", duplicates)
        self._metrics.events("rejected", len(errors))
        return taken

    async def _durable(self, events: list[JournalEvent]) -> list[Receipt]:
        """Wait for the disk, but not for ever: a database that hangs does not enforce its own time-outs."""
        written = asyncio.wrap_future(self._committer.submit(events))
        done, _ = await asyncio.wait((written,), timeout=ACKNOWLEDGE_S)
        if not done:
            # Looked at, so that nobody complains of an error that nobody saw.
            written.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise UnavailableError(
                f"the event log did not answer for {ACKNOWLEDGE_S:g} seconds; the events may be there or not",
                remedy="Send them again with the same event_id",
            )
        return written.result()


def _parsed(raw: bytes) -> tuple[list[tuple[int, EventIn]], list[dict[str, Any]]]:
    """Valid events with their places, and what is wrong with the others."""
    try:
        many = _MANY.validate_json(raw) if raw.lstrip()[:1] == b"[" else None
    except ValidationError:
        many = None
    if many is None:
        return _row_by_row(_rows(raw))
    if len(many) > MAX_EVENTS:
        raise _too_many(len(many))
    return list(enumerate(many)), []


def _rows(raw: bytes) -> list[Any]:
    """The events of ``[...]``, ``{"events": [...]}`` or one event, not yet checked."""
    try:
        # The parser of pydantic itself: bounded in depth and in digits, as hostile bodies need it.
        document = from_json(raw)
    except ValueError as error:
        raise BadInputError(
            "the body is not JSON", where="body", remedy="Send an event or a list of events"
        ) from error
    if isinstance(document, dict) and document.keys() == {"events"}:
        document = document["events"]
    return document if isinstance(document, list) else [document]


def _row_by_row(rows: Sequence[Any]) -> tuple[list[tuple[int, EventIn]], list[dict[str, Any]]]:
    """The slow way, for single events and for requests in which something is wrong."""
    if len(rows) > MAX_EVENTS:
        raise _too_many(len(rows))
    valid: list[tuple[int, EventIn]] = []
    errors: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        try:
            valid.append((index, _ONE.validate_python(row)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])[:MAX_ID_BYTES]
            errors.append({"index": index, "field": field, "reason": first["msg"]})
    return valid, errors


_ERASED = "from before the listener was erased"


def _refused(index: int, reason: str) -> dict[str, Any]:
    return {"index": index, "field": "timestamp", "reason": reason}


def _too_many(n: int) -> BadInputError:
    return BadInputError(f"{n} events in one request", where="body", remedy=f"Send at most {MAX_EVENTS}")


def _journal_event(row: EventIn, at: datetime) -> JournalEvent:
    return JournalEvent(
        event_id=row.event_id or secrets.token_hex(16),
        user_id=row.user_id,
        track_id=row.track_id,
        at_us=int(at.timestamp() * 1_000_000),
        event=row.event,
        ms_played=row.ms_played,
        session_id=row.session_id,
        device=row.device,
        country=row.country,
        context=row.model_extra or {},
        request_id=row.request_id,
    )
