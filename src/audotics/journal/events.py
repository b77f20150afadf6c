"""The event log: appended durably, read in order, forgotten on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Integer, Select, bindparam, delete, func, insert, select

from audotics.journal.engine import empty_write_ahead_log, reading, writing
from audotics.journal.erasures import Erasure, Erasures
from audotics.journal.event_rows import COLUMNS, JournalEvent, Recorded, Values, to_recorded, to_values
from audotics.journal.tables import erasures, exposures, insert_once, take_seqs
from audotics.journal.tables import events as table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["EventJournal", "JournalEvent", "Receipt", "Recorded"]

_LOOK_UP = 500
"""Ids asked for in one statement."""

_NEVER_US = -(2**63)

# Built once: putting a statement together takes longer than running it.
_AFTER = (
    select(*COLUMNS)
    .where(table.c.seq > bindparam("seq"))
    .order_by(table.c.seq)
    .limit(bindparam("limit", type_=Integer()))
)
_NEWEST = (
    select(*COLUMNS)
    .where(table.c.user_id == bindparam("user_id"), table.c.at_us >= bindparam("since_us"))
    .order_by(table.c.at_us.desc(), table.c.seq.desc())
    .limit(bindparam("limit", type_=Integer()))
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The event is on the disk.

    Args:
        seq: Its place in the journal, which grows; a duplicate has that of the first. 0 where it is not kept,
            because it tells of a time before its listener was erased.
        duplicate: Whether an event with this id was there already.
    """

    seq: int
    duplicate: bool

    @property
    def kept(self) -> bool:
        """False where the listener has been erased since the event happened."""
        return self.seq > 0


class EventJournal:
    """The events of all listeners in one order that never changes.

    Safe to share between threads; several processes may append to and read the same database.

    Args:
        engine: From `audotics.journal.open_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = insert_once(engine, table, "event_id")
        self._erasures = Erasures(engine)

    def append(self, events: Sequence[JournalEvent]) -> list[Receipt]:
        """Write the events in one transaction, all or none; they are on the disk when this returns.

        Repeating an append is safe: an event whose id is known, or stands earlier in ``events``, is not
        written again.

        Returns:
            A receipt for each event, in their order.

        Raises:
            BadInputError: An event cannot be stored; names it.
            UnavailableError: The database did not answer. The events may be there or not: append them again.
            StorageFullError: There is no room.
        """
        received_us = _now_us()
        values = [to_values(event, received_us) for event in events]
        if not values:
            return []
        with writing(self._engine) as connection:
            first = take_seqs(connection, len(values))
            seqs = [*range(first, first + len(values))]
            erased_until = self._erasures.until(connection)
            if erased_until:
                for position, event in enumerate(events):
                    if event.at_us <= erased_until.get(event.user_id, _NEVER_US):
                        seqs[position] = 0
            rows = [(seq, *row) for seq, row in zip(seqs, values, strict=True) if seq]
            stored = self._insert_rows(connection, rows)
        if stored is None:
            return [Receipt(seq, duplicate=False) for seq in seqs]
        places = [
            (seq, stored[event.event_id] if seq else 0) for seq, event in zip(seqs, events, strict=True)
        ]
        return [Receipt(there, duplicate=there != seq) for seq, there in places]

    def after(self, seq: int, limit: int = 10_000) -> list[Recorded]:
        """The next events in the order of the journal, those with a greater ``seq``.

        No event is ever missed by going on from the last one seen: writers take turns
        (`audotics.journal.tables.take_seqs`), so a smaller ``seq`` never appears later.
        Numbers may be skipped.

        Raises:
            UnavailableError: The database does not answer.
        """
        return self._read(_AFTER, seq=seq, limit=limit)

    def of_listener(self, user_id: str, limit: int = 500, since_us: int | None = None) -> list[Recorded]:
        """The listener's newest events by the time they happened, oldest first.

        Args:
            user_id: The listener.
            limit: How many at most.
            since_us: Only those at this time or later.

        Raises:
            UnavailableError: The database does not answer.
        """
        since_us = _NEVER_US if since_us is None else since_us
        return self._read(_NEWEST, user_id=user_id, since_us=since_us, limit=limit)[::-1]

    def last_seq(self) -> int:
        """Place of the last event; 0 where there is none.

        Raises:
            UnavailableError: The database does not answer.
        """
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.coalesce(func.max(table.c.seq), 0))).scalar_one())

    def count_after(self, seq: int) -> int:
        """How many events have a greater ``seq``.

        Raises:
            UnavailableError: The database does not answer.
        """
        with reading(self._engine, bulk=True) as connection:
            later = select(func.count()).select_from(table).where(table.c.seq > seq)
            return int(connection.execute(later).scalar_one())

    def frames(
        self,
        since_us: int | None = None,
        rows: int = 100_000,
        *,
        linked: bool = False,
        after: int = 0,
        until: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """All events as tables with the columns of `audotics.data.schema.EVENTS`, in the journal's order.

        Each table has the ``context_*`` columns that occur in it. Reads page by page, in short transactions:
        events that arrive meanwhile may be in the last tables.

        Args:
            since_us: Only events that happened at this time or later.
            rows: Rows of a table.
            linked: Whether to add ``event_id`` and ``request_id``, which lead to exposures.
            after: Only events with a greater ``seq``: those that arrived later, whenever they happened.
            until: Only events up to this ``seq``, as `last_seq` gave it.

        Raises:
            UnavailableError: The database does not answer.
        """
        from audotics.journal.event_frames import event_frame

        page = _AFTER if since_us is None else _AFTER.where(table.c.at_us >= since_us)
        page = page if until is None else page.where(table.c.seq <= until)
        seq = after
        while True:
            with reading(self._engine, bulk=True) as connection:
                found = connection.execute(page, {"seq": seq, "limit": rows}).all()
            if not found:
                return
            yield event_frame(found, linked=linked)
            seq = found[-1].seq

    def erase(self, user_id: str) -> int:
        """Forget a listener: events and exposures are deleted, and overwritten in an SQLite file.

        The id stays in the list of erasures, with the time, so that datasets and versions made earlier
        can be filtered. Later appends of older events are not kept. PostgreSQL reuses the space with its
        next vacuum.

        Returns:
            How many events and exposures were deleted.

        Raises:
            UnavailableError: The database does not answer; nothing is erased.
        """
        with writing(self._engine, bulk=True) as connection:
            seq = take_seqs(connection, 1)
            n_deleted = 0
            for of_listener in (table, exposures):
                n_deleted += connection.execute(
                    delete(of_listener).where(of_listener.c.user_id == user_id)
                ).rowcount
            connection.execute(insert(erasures).values(seq=seq, user_id=user_id, at_us=_now_us()))
        empty_write_ahead_log(self._engine)
        return n_deleted

    def erased(self) -> list[str]:
        """Everyone who was ever erased, first erased first.

        Raises:
            UnavailableError: The database does not answer.
        """
        return list(dict.fromkeys(erasure.user_id for erasure in self.erased_after(0)))

    def erased_after(self, seq: int) -> list[Erasure]:
        """Erasures with a greater ``seq``: how other processes learn of them.

        Raises:
            UnavailableError: The database does not answer.
        """
        return self._erasures.after(seq)

    def ping(self) -> None:
        """Return if the database answers.

        Raises:
            UnavailableError: It does not.
        """
        with reading(self._engine) as connection:
            connection.execute(select(1))

    def _read(self, statement: Select[Any], **arguments: str | int) -> list[Recorded]:
        with reading(self._engine) as connection:
            return [to_recorded(*row) for row in connection.execute(statement, arguments)]

    def _insert_rows(self, connection: Connection, rows: list[Values]) -> dict[str, int] | None:
        """Insert; None where all were new, else the place of every event by its id."""
        if not rows:
            return {}
        inserted = connection.exec_driver_sql(self._insert, rows)
        if inserted.rowcount == len(rows):
            return None
        ids = [row[1] for row in rows]
        stored: dict[str, int] = {}
        for start in range(0, len(ids), _LOOK_UP):
            known = table.c.event_id.in_(ids[start : start + _LOOK_UP])
            stored.update(connection.execute(select(table.c.event_id, table.c.seq).where(known)).all())
        return stored


def _now_us() -> int:
    return time.time_ns() // 1000
