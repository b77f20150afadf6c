"""A lease in the journal's database: one retraining at a time, whichever process or machine begins it."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from audotics.errors import UnavailableError
from audotics.journal.engine import create_missing, reading, writing

RETRAINING = "retraining"
"""What is leased."""

LIFE_S = 60.0
"""Seconds after its last sign of life that a holder is taken for dead."""

SIGNS_PER_LIFE = 6
"""Signs of life that a holder tries to give while its lease would last without one."""

_POLL_S = 0.5
_SECOND = 1_000_000

metadata = MetaData()

leases = Table(
    "audotics_leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("taken_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
"""At most one row for each thing that is leased; a row whose time is over counts for nothing."""


class HeldError(UnavailableError):
    """Somebody else holds the lease."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease.

    Args:
        owner: Host and process.
        taken_us: Since when, UTC microseconds.
        expires_us: Until when without another sign of life, UTC microseconds.
    """

    owner: str
    taken_us: int
    expires_us: int


class Lease:
    """Held while retraining; kept alive by a thread, free again when its holder is done or dead.

    All times are those of the database, so the clocks of the machines need not agree. A holder that cannot
    reach the database loses the lease when its life is over, whether or not it notices: `check` before every
    step that must not be done twice.

    Args:
        engine: From `audotics.journal.open_engine`.
        name: What is leased.
        life_s: How long it lasts without a sign of life.
    """

    def __init__(self, engine: Engine, name: str = RETRAINING, life_s: float = LIFE_S) -> None:
        self._engine = engine
        self._name = name
        self._life_us = int(life_s * _SECOND)
        self._token = secrets.token_hex(16)
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._sure_until = 0.0
        self._lost = False
        create_missing(engine, metadata)

    @contextmanager
    def held(self, wait_s: float = 0.0, give_up: Callable[[], bool] = lambda: False) -> Iterator[Lease]:
        """Hold the lease for a block.

        Args:
            wait_s: How long to wait for a holder to be done.
            give_up: Asked while waiting; True ends it.

        Raises:
            HeldError: Somebody else holds it, and did so for all of ``wait_s``.
            UnavailableError: The database does not answer.
        """
        deadline = time.monotonic() + wait_s
        while not self._take():
            if time.monotonic() >= deadline or give_up():
                raise self._refusal()
            time.sleep(_POLL_S)
        self._thread = threading.Thread(target=self._keep_alive, name="audotics-lease", daemon=True)
        self._thread.start()
        try:
            yield self
        finally:
            self._done.set()
            self._thread.join()
            self._give_back()

    def check(self) -> None:
        """Return if the lease is still ours; asks the database when the last sign of life is some time ago.

        Raises:
            UnavailableError: It is lost, or nobody can tell.
        """
        if not self._lost and time.monotonic() > self._sure_until - self._life_us / _SECOND / 2:
            self._lost = not self._renew()
        if self._lost:
            raise UnavailableError(
                f"the lease for {self._name} was lost: the database did not hear of this process in time",
                where=_me(),
                remedy="Another process may have gone on; start again",
            )

    def holder(self) -> Holder | None:
        """Who holds it now; None where it is free."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(leases.c.owner, leases.c.taken_us, leases.c.expires_us).where(
                    leases.c.name == self._name, leases.c.expires_us > _now_us(self._engine)
                )
            ).one_or_none()
        return None if row is None else Holder(*row)

    def _take(self) -> bool:
        """Take it if it is free, in one statement: of two who try at once, one succeeds."""
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        began = time.monotonic()
        with writing(self._engine) as connection:
            now = _now_us(self._engine)
            row = {
                "owner": _me(),
                "token": self._token,
                "taken_us": now,
                "expires_us": now + self._life_us,
            }
            statement = (
                dialect.insert(leases)
                .values(name=self._name, **row)
                .on_conflict_do_update(
                    index_elements=[leases.c.name], set_=row, where=leases.c.expires_us <= now
                )
                .returning(leases.c.token)
            )
            taken = connection.execute(statement).scalar_one_or_none() == self._token
        self._sure_until = began + self._life_us / _SECOND
        return taken

    def _renew(self) -> bool:
        """Give a sign of life; False where somebody else has the lease by now."""
        began = time.monotonic()
        with writing(self._engine) as connection:
            renewed = self._update(connection)
        if renewed:
            self._sure_until = began + self._life_us / _SECOND
        return renewed

    def _update(self, connection: Connection) -> bool:
        # Even after its end: as long as the row has our token nobody else has had the lease since.
        mine = (leases.c.name == self._name, leases.c.token == self._token)
        later = update(leases).where(*mine).values(expires_us=_now_us(self._engine) + self._life_us)
        return connection.execute(later).rowcount == 1

    def _keep_alive(self) -> None:
        while not self._done.wait(self._life_us / _SECOND / SIGNS_PER_LIFE):
            try:
                if not self._renew():
                    self._lost = True
                    return
            except UnavailableError:
                continue  # the next sign may get through while the lease lasts

    def _give_back(self) -> None:
        try:
            with writing(self._engine) as connection:
                connection.execute(
                    delete(leases).where(leases.c.name == self._name, leases.c.token == self._token)
                )
        except UnavailableError:
            return  # it ends by itself

    def _refusal(self) -> HeldError:
        holder = self.holder()
        who = "somebody" if holder is None else holder.owner
        return HeldError(
            f"{who} is retraining already",
            where=self._name,
            remedy=f"Wait for it (--wait); if it is dead its lease ends {self._life_us / _SECOND:g} seconds "
            "after its last sign of life",
        )


def _now_us(engine: Engine) -> ColumnElement[int]:
    """The database's own time in UTC microseconds; for a file that is this machine's."""
    if engine.dialect.name == "sqlite":
        return literal(time.time_ns() // 1000, BigInteger())
    return cast(func.extract("epoch", func.clock_timestamp()) * _SECOND, BigInteger())


def _me() -> str:
    return f"{socket.gethostname()} process {os.getpid()}"
