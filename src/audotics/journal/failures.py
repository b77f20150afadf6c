"""What a database's refusals mean: the one place where they become errors of ours.

Locked, unreachable, too slow, read only: `UnavailableError`. No room: `StorageFullError`. A value that the
database cannot take: `BadInputError`. A file that is broken or no database: `DamagedError`. Anything else
is a bug and passes through.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnectionError

from audotics.errors import AudoticsError, BadInputError, DamagedError, StorageFullError, UnavailableError

Kind = type[AudoticsError]
Meaning = tuple[Kind, str, str]
"""Kind of error, what is wrong, what to do."""

_FULL: Meaning = (
    StorageFullError,
    "the disk of the database is full",
    "Make room; no restart is needed",
)
_READ_ONLY: Meaning = (UnavailableError, "the database is read only", "Check its disk and its permissions")
_DAMAGED: Meaning = (DamagedError, "the database is damaged", "Restore it from a copy")
_VALUE: Meaning = (BadInputError, "the database refuses a value", "")
_AWAY: Meaning = (
    UnavailableError,
    "the database cannot be reached",
    "See that it runs and who may connect",
)
_LATE: Meaning = (UnavailableError, "the database did not answer in time", "Try again in a moment")
_LOCKED: Meaning = (UnavailableError, "another writer holds the database", "Try again in a moment")
_DISK: Meaning = (UnavailableError, "the database cannot use its disk", "Check the disk and its permissions")

_SQLITE: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CANTOPEN: _DISK,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: (DamagedError, "the file is not an SQLite database", "Name another file"),
    sqlite3.SQLITE_TOOBIG: _VALUE,
    sqlite3.SQLITE_MISMATCH: _VALUE,
    sqlite3.SQLITE_CONSTRAINT: _VALUE,
}

_POSTGRESQL: dict[str, Meaning] = {
    "08": _AWAY,
    "22": _VALUE,
    "23": _VALUE,
    "25006": _READ_ONLY,
    "28": _AWAY,
    "3D": _AWAY,
    "40": _LOCKED,  # a deadlock or a conflict that PostgreSQL resolved at our expense
    "53100": _FULL,
    "53": (UnavailableError, "the database has no connection or memory to spare", "Try again in a moment"),
    "55P03": _LOCKED,
    "57014": _LATE,
    "57": _AWAY,
    "58": _DISK,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
"""By SQLSTATE, or by its class of two letters."""


@contextmanager
def store_failures(engine: Engine) -> Iterator[None]:
    """Turns failures of the engine's database inside the block into errors of ours."""
    try:
        yield
    except NoFreeConnectionError as error:
        raise UnavailableError(
            "all connections to the database are in use", where=place(engine), remedy="Try again in a moment"
        ) from error
    except DBAPIError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        kind, what, remedy = meaning
        raise kind(what, where=place(engine), remedy=remedy) from error
    except (OverflowError, UnicodeEncodeError) as error:  # what a driver cannot even send
        raise BadInputError(_VALUE[1], where=place(engine)) from error


def place(engine: Engine) -> str:
    """The database in words, without its password."""
    return engine.url.render_as_string(hide_password=True)


def _meaning(error: DBAPIError) -> Meaning | None:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        # The lower byte is the kind, the rest says where it happened. Misuse of the module has no code.
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", -1) & 0xFF)
    state: str | None = getattr(cause, "sqlstate", None)
    if state is not None:
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    # psycopg's own complaints: connections that never came about or broke, values that it cannot send.
    if isinstance(error, DataError):
        return _VALUE
    return _AWAY if error.connection_invalidated or isinstance(error, OperationalError) else None
