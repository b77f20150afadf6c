"""The tables of the journal, the same in SQLite and in PostgreSQL.

Their names carry a prefix, as the database may be shared with the music service's own tables.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

SCHEMA_VERSION = 2

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits in both; SQLite makes only a column called INTEGER the key of the table itself."""


def _key() -> Column[int]:
    return Column("seq", _BIG, primary_key=True, autoincrement=False)


journal = Table(
    "audotics_journal",
    metadata,
    Column("schema_version", Integer, nullable=False),
    Column("last_seq", _BIG, nullable=False),
)
"""One row: the schema that wrote the tables, and the last sequence number given out."""

events = Table(
    "audotics_events",
    metadata,
    _key(),
    Column("event_id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("track_id", Text, nullable=False),
    Column("at_us", _BIG, nullable=False),
    Column("event", Text, nullable=False),
    Column("ms_played", _BIG),
    Column("session_id", Text),
    Column("device", Text),
    Column("country", Text),
    Column("context", Text),
    Column("request_id", Text),
    Column("received_us", _BIG, nullable=False),
    Index("audotics_events_of_listener", "user_id", "at_us", "seq"),
)

exposures = Table(
    "audotics_exposures",
    metadata,
    _key(),
    Column("request_id", Text, nullable=False, unique=True),
    Column("user_id", Text),
    Column("at_us", _BIG, nullable=False),
    Column("track_ids", Text, nullable=False),
    Column("scores", LargeBinary, nullable=False),
    Column("propensities", LargeBinary, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("rung", Text, nullable=False),
    Column("teams", Text),
    Index("audotics_exposures_of_listener", "user_id"),
)
"""``track_ids`` as JSON, ``scores`` and ``propensities`` as little-endian 32-bit floats, exact to the bit.

``teams`` as JSON, null but for interleaved slates; it came with schema 2.
"""

tracks = Table(
    "audotics_tracks",
    metadata,
    _key(),
    Column("track_id", Text, nullable=False, unique=True),
    Column("document", Text, nullable=False),
)

erasures = Table(
    "audotics_erasures",
    metadata,
    _key(),
    Column("user_id", Text, nullable=False),
    Column("at_us", _BIG, nullable=False),
)


_COUNT_UP = (
    update(journal)
    .values(last_seq=journal.c.last_seq + bindparam("n"))  # built once: every write begins with it
    .returning(journal.c.last_seq)
)


def take_seqs(connection: Connection, n: int) -> int:
    """Reserve ``n`` consecutive sequence numbers inside a writing transaction; the first of them.

    The row that is counted up stays locked until the transaction ends, so writers take turns from here to
    their commit, and numbers become visible in the order in which they grow. A sequence of the
    database would not do: it hands numbers out at once, the transaction with the smaller one may commit
    last, and a reader who has already passed on to the larger would never see it.
    """
    last: int = connection.execute(_COUNT_UP, {"n": n}).scalar_one()
    return last - n + 1


def upgrade(connection: Connection, found: int) -> None:
    """Bring tables of an earlier schema to this one, inside a writing transaction.

    Args:
        connection: The transaction.
        found: Their schema.
    """
    if found < 2:
        connection.execute(text("ALTER TABLE audotics_exposures ADD COLUMN teams TEXT"))
    connection.execute(update(journal).values(schema_version=SCHEMA_VERSION))


def insert_once(engine: Engine, table: Table, unique: str) -> str:
    """SQL with positional parameters, all columns in order, that inserts a row unless its key is there."""
    insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).on_conflict_do_nothing(index_elements=[unique])
    return str(statement.compile(dialect=engine.dialect))
