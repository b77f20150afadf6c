"""The tables of experiments, beside those of the journal in the same database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, Table, Text

from audotics.journal.engine import create_missing, prepare_tables

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer(), "sqlite")

HOLDOUT_ROW = ""
"""Under this name, which no experiment can have, the holdout is kept."""

experiments = Table(
    "audotics_experiments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("document", Text, nullable=False),
)
"""Each experiment as JSON."""

changes = Table(
    "audotics_experiment_changes",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("at_us", _BIG, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
)
"""Who changed what, when and why: ``document`` as it was afterwards, without the testers.

Rows are never changed. ``seq`` is a place in the journal's one order; servers follow the last one.
"""


def prepare_experiments(engine: Engine) -> None:
    """Create what is missing of these tables, and of the journal's.

    Raises:
        UnavailableError: The database does not answer.
        DamagedError: The tables are from a newer Audotics.
    """
    prepare_tables(engine)
    create_missing(engine, metadata)
