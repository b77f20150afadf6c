"""Opening the journal's database: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError

from audotics.errors import BadInputError, DamagedError, MissingExtraError
from audotics.journal import tables
from audotics.journal.failures import place, store_failures
from audotics.registry.durable import FILE_MODE, flush_folder, make_folder, write_new

SETTING = "database_url"
"""The deployment setting that holds the URL (`audotics.settings.Settings`)."""

BULK_TIMEOUT_S = 60.0
"""What a statement over many rows may take in PostgreSQL: erasing, reading for training."""

_WRITES = "audotics_writes"
_SCHEMA_LOCK = 0x61756474  # any number that nobody else uses: "audt"


def open_engine(url: str, *, timeout_s: float = 0.5, prepare: bool = True) -> Engine:
    """Open the database, creating the file (readable by its owner only) and the tables where missing.

    Every commit is on the disk before it returns, whatever the database's own defaults are.

    Args:
        url: ``sqlite:///relative/file.db``, ``sqlite:////absolute/file.db`` or
            ``postgresql+psycopg://user:password@host/name``.
        timeout_s: The longest wait for a lock, a statement (PostgreSQL) or a free connection. Connecting to
            a PostgreSQL that accepts but does not answer takes two seconds at least (psycopg's lower limit).
        prepare: Whether the database must answer now; else call `prepare_tables` before the first use.

    Raises:
        BadInputError: The URL cannot be used.
        MissingExtraError: psycopg is not installed.
        UnavailableError: The database does not answer.
        DamagedError: The file is not a database, or the tables are from a newer Audotics.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _open_sqlite(parsed, timeout_s)
    else:
        engine = _open_postgresql(parsed, timeout_s)
    if not prepare:
        return engine
    try:
        prepare_tables(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine, *, bulk: bool = False) -> Iterator[Connection]:
    """A transaction that reads; database failures become errors of ours.

    Args:
        engine: From `open_engine`.
        bulk: Whether statements may take `BULK_TIMEOUT_S`.
    """
    with store_failures(engine), engine.connect() as connection:
        _allow_bulk(connection, bulk)
        yield connection


@contextmanager
def writing(engine: Engine, *, bulk: bool = False) -> Iterator[Connection]:
    """A transaction that writes: committed, and on the disk, when the block ends without an error.

    Args:
        engine: From `open_engine`.
        bulk: Whether statements may take `BULK_TIMEOUT_S`.
    """
    with store_failures(engine), engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            _allow_bulk(connection, bulk)
            yield connection


def empty_write_ahead_log(engine: Engine) -> None:
    """Move everything from SQLite's write-ahead log into the file, as far as no reader is in the way."""
    if engine.dialect.name == "sqlite":
        with store_failures(engine), closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _allow_bulk(connection: Connection, bulk: bool) -> None:
    if bulk and connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = {int(BULK_TIMEOUT_S * 1000)}"))


def _parse(url: str) -> URL:
    examples = "Examples: sqlite:///audotics.db, postgresql+psycopg://user:password@host/name"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the URL nor the cause is shown: it may hold a password.
        raise BadInputError("is not a database URL", where=SETTING, remedy=examples) from None
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise BadInputError(f"{parsed.drivername!r} is not supported", where=SETTING, remedy=examples)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            raise BadInputError("names no file, so nothing would last", where=SETTING, remedy=examples)
        if parsed.query or parsed.host:
            raise BadInputError("takes a file and nothing else for SQLite", where=SETTING, remedy=examples)
    return parsed


def _open_sqlite(url: URL, timeout_s: float) -> Engine:
    path = Path(url.database or "").absolute()
    _create_private(path)
    engine = create_engine(
        url,
        # Transactions are begun by us (`begin` below), not by the module's guess from the statement.
        connect_args={"timeout": timeout_s, "isolation_level": None},
        pool_timeout=timeout_s,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # with WAL the default would lose commits when the power fails
            "secure_delete = ON",  # who is erased is overwritten, not only unlinked
            # 16 MiB between checkpoints: at the usual 4, busy pages go to the file again every few batches.
            "wal_autocheckpoint = 4096",
            "journal_size_limit = 67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer waits for its turn before it reads anything: one that upgrades later may fail at once.
        kind = "IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _create_private(path: Path) -> None:
    """Make the file for its owner alone; SQLite gives its companions (-wal, -shm) the same mode."""
    try:
        if path.exists():
            # Never opened here: closing any descriptor of it would drop the locks that SQLite holds.
            if path.stat().st_mode & 0o077:
                path.chmod(FILE_MODE)
            return
        make_folder(path.parent)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write_new(beside, "")
        try:
            os.link(beside, path)
        except FileExistsError:
            pass  # another worker was faster
        finally:
            beside.unlink()
        flush_folder(path.parent)
    except OSError as error:
        raise BadInputError(f"the file cannot be created ({error})", where=SETTING) from error


def _open_postgresql(url: URL, timeout_s: float) -> Engine:
    milliseconds = max(1, int(timeout_s * 1000))
    given = url.query.get("options", "")
    options = [given] if isinstance(given, str) else list(given)
    options += [f"-c statement_timeout={milliseconds}", "-c synchronous_commit=on"]
    try:
        return create_engine(
            url,
            paramstyle="format",  # positional, so that rows travel as tuples
            connect_args={
                "connect_timeout": math.ceil(timeout_s),
                "options": " ".join(option for option in options if option),
                # A host that vanished without a word is noticed in seconds, not in hours.
                "tcp_user_timeout": max(1000, milliseconds),
                "keepalives_idle": 2,
                "keepalives_interval": 1,
                "keepalives_count": 3,
            },
            # After a restart the pool's connections are dead: each is tried before it is used.
            pool_pre_ping=True,
            pool_timeout=timeout_s,
            hide_parameters=True,
        )
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", "postgresql") from error


def prepare_tables(engine: Engine) -> None:
    """Create what is missing of the tables, and bring those of an earlier Audotics to this one.

    Raises:
        UnavailableError: The database does not answer.
        DamagedError: The tables are from a newer Audotics.
    """
    with writing(engine) as connection:
        _lock_schema(connection)
        if not inspect(connection).has_table(tables.journal.name):
            tables.metadata.create_all(connection)
            connection.execute(
                insert(tables.journal).values(schema_version=tables.SCHEMA_VERSION, last_seq=0)
            )
        found = connection.execute(select(tables.journal.c.schema_version)).scalar_one()
        if found < tables.SCHEMA_VERSION:
            tables.upgrade(connection, found)
    if found > tables.SCHEMA_VERSION:
        raise DamagedError(
            f"the journal has schema {found}, this Audotics knows {tables.SCHEMA_VERSION}",
            where=place(engine),
            remedy="Use the Audotics that wrote it, or a newer one",
        )


def create_missing(engine: Engine, metadata: MetaData) -> None:
    """Create what is missing of further tables in the same database.

    Args:
        engine: From `open_engine`.
        metadata: The tables.

    Raises:
        UnavailableError: The database does not answer.
    """
    with writing(engine) as connection:
        _lock_schema(connection)
        metadata.create_all(connection)


def _lock_schema(connection: Connection) -> None:
    """Until the transaction ends: workers that start together would all create what each finds missing."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
