"""What was shown to whom, written off the request path."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Engine, select

from audotics.domain import Exposure, FloatArray
from audotics.errors import BadInputError
from audotics.journal.engine import reading, writing
from audotics.journal.erasures import Erasures
from audotics.journal.gathering import Gathering
from audotics.journal.tables import exposures as table
from audotics.journal.tables import insert_once, take_seqs

if TYPE_CHECKING:
    import polars as pl

FLUSH_AFTER_S = 0.2
FLUSH_ROWS = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_FLOAT = np.dtype("<f4")

_Row = tuple[str, str | None, int, str, bytes, bytes, str, str, str, str | None]
"""Columns of the exposures table in its order, without ``seq``."""


class ExposureLog:
    """Exposures on their way to the database, in a queue of bounded length.

    Showing a slate must not wait for a database, so `record` never does: exposures are written within
    `FLUSH_AFTER_S` by a thread of the log. While the database is away they are kept, the newest
    ``max_pending`` of them; what does not fit is dropped and counted.

    Args:
        engine: From `audotics.journal.open_engine`.
        max_pending: Exposures that wait at most.
        flush_after_s: How long an exposure waits for others.
    """

    def __init__(
        self, engine: Engine, *, max_pending: int = 10_000, flush_after_s: float = FLUSH_AFTER_S
    ) -> None:
        self._engine = engine
        self._insert = insert_once(engine, table, "request_id")
        self._erasures = Erasures(engine)
        self._max_pending = max_pending
        self._unwritten: deque[_Row] = deque()
        self._writing = Lock()
        self._counting = Lock()
        self._n_dropped = 0
        self._failure: Exception | None = None
        self._gathering = Gathering(
            self._write,
            most_in_group=FLUSH_ROWS,
            max_wait_s=flush_after_s,
            max_pending=max_pending,
            name="audotics-exposures",
        )

    @property
    def dropped(self) -> int:
        """Exposures that are lost: too many were waiting, or the database refused them."""
        return self._n_dropped

    def record(self, exposure: Exposure, rung: str = "") -> bool:
        """Take an exposure; never waits.

        An exposure whose ``request_id`` is known already is the same one and is not written again.

        Args:
            exposure: What was shown.
            rung: Which rung of the ladder of degradation the answer came from.

        Returns:
            False if it was dropped.
        """
        accepted = self._gathering.offer(_row(exposure, rung))
        if not accepted:
            self._drop(1)
        return accepted

    def flush(self) -> None:
        """Write everything taken so far.

        Raises:
            UnavailableError: The database does not answer; the exposures are kept.
        """
        self._gathering.drain()
        self._write([])
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Write what is waiting, as far as the database answers, and take nothing more."""
        self._gathering.close()
        self._write([])
        self._drop(len(self._unwritten))
        self._unwritten.clear()

    def of_request(self, request_id: str) -> Exposure | None:
        """The exposure of an answer, if it is written.

        Raises:
            UnavailableError: The database does not answer.
        """
        with reading(self._engine) as connection:
            found = connection.execute(select(table).where(table.c.request_id == request_id)).one_or_none()
        if found is None:
            return None
        return Exposure(
            request_id=found.request_id,
            user_id=found.user_id,
            at=_EPOCH + found.at_us * _US,
            track_ids=tuple(json.loads(found.track_ids)),
            scores=_floats(found.scores),
            propensities=_floats(found.propensities),
            model_version=found.model_version,
            variant=found.variant,
            teams=tuple(json.loads(found.teams or "[]")),
        )

    def frames(
        self, since_us: int | None = None, rows: int = 20_000, *, teams: bool = False, after: int = 0
    ) -> Iterator[pl.DataFrame]:
        """All exposures as tables, in the order in which they were written.

        Columns: ``request_id``, ``user_id``, ``timestamp``, ``track_ids``, ``scores`` and ``propensities``
        (lists), ``model_version``, ``variant``, ``rung``.

        Args:
            since_us: Only those shown at this time (UTC microseconds) or later.
            rows: Rows of a table.
            teams: Whether to add ``teams``, a list of text: null but for interleaved slates.
            after: Only exposures with a greater ``seq``; they are numbered together with events.

        Raises:
            UnavailableError: The database does not answer.
        """
        from audotics.journal.exposure_frames import exposure_frame, with_teams

        page, seq = select(table).order_by(table.c.seq).limit(rows), after
        if since_us is not None:
            page = page.where(table.c.at_us >= since_us)
        while True:
            with reading(self._engine, bulk=True) as connection:
                found = connection.execute(page.where(table.c.seq > seq)).all()
            if not found:
                return
            frame = exposure_frame(found)
            yield with_teams(frame, found) if teams else frame
            seq = found[-1].seq

    def _write(self, group: list[_Row]) -> None:
        """Write the group behind those that an earlier failure left; keeps them where it fails again."""
        with self._writing:
            self._unwritten.extend(group)
            self._failure = None
            try:
                while self._unwritten:
                    rows = list(islice(self._unwritten, FLUSH_ROWS))
                    self._insert_rows(rows)
                    for _ in rows:
                        self._unwritten.popleft()
            except Exception as error:  # told by `flush`; the thread must go on
                self._failure = error
            while len(self._unwritten) > self._max_pending:
                self._unwritten.popleft()
                self._drop(1)

    def _insert_rows(self, rows: list[_Row]) -> None:
        try:
            with writing(self._engine) as connection:
                first = take_seqs(connection, len(rows))
                until = self._erasures.until(connection)
                kept = [row for row in rows if row[1] not in until or row[2] > until[row[1]]]
                if kept:
                    connection.exec_driver_sql(self._insert, list(_numbered(first, kept)))
        except BadInputError:
            if len(rows) == 1:
                self._drop(1)
                return
            for row in rows:  # one of them is to blame: each on its own
                self._insert_rows([row])

    def _drop(self, n: int) -> None:
        with self._counting:
            self._n_dropped += n


def _row(exposure: Exposure, rung: str) -> _Row:
    return (
        exposure.request_id,
        exposure.user_id,
        (exposure.at - _EPOCH) // _US,
        json.dumps(exposure.track_ids),
        np.asarray(exposure.scores, _FLOAT).tobytes(),
        np.asarray(exposure.propensities, _FLOAT).tobytes(),
        exposure.model_version,
        exposure.variant,
        rung,
        json.dumps(exposure.teams) if exposure.teams else None,
    )


def _numbered(first: int, rows: list[_Row]) -> Iterator[tuple[int | str | bytes | None, ...]]:
    return ((first + position, *row) for position, row in enumerate(rows))


def _floats(stored: bytes) -> FloatArray:
    return np.frombuffer(stored, _FLOAT).astype(np.float32)
