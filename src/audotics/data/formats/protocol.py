"""What a file format gives to the import engine.

A format only *reads*: it finds the files of a source, names their columns with the words of the
schema and cuts them into chunks. Everything else (timestamps, numbers, lists, bounds on ids, exact
duplicates, limits on rejects, writing) is done once, for every format, by the engine. Values may be
raw text or already typed; an empty text means "unknown".

Accounting: every line of data a format reads ends among the rows of a chunk or among its rejects, so
``read = rows + rejected``. What cannot be read at all (wrong number of columns, a torn JSON line) is a
reject, never skipped in silence. Lines that do not belong into the set by its own rules are left out
and counted beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import polars as pl

from audotics.data.schema import REJECTS

TableName: TypeAlias = Literal["events", "tracks", "users", "playlists"]

LINE = "line"
"""Column of a chunk: 1-based line (Parquet: row) of the file that each row was read from."""

CHUNK_ROWS = 250_000
"""About how many rows a chunk should have: the unit of memory of an import."""


def no_rejects() -> pl.DataFrame:
    """An empty table of rejects: file, line, column, value, reason."""
    return pl.DataFrame(schema=REJECTS)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of one file, in file order.

    Args:
        rows: Columns named as in ``schema`` (only those the source has), raw or typed, and `LINE`.
            Further ``feature_*`` and ``context_*`` columns are kept, and ``duration_s`` (seconds) may
            stand for ``duration_ms``; anything else is an error of the format.
        rejected: Lines the format could not read, one row each, columns of ``schema.REJECTS``.
        left_out: Lines left out on purpose and why, e.g. ``{"tag of a held-out artist": 12}``.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame = field(default_factory=no_rejects)
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawTable:
    """One file's (or one part of a file's) contribution to a table.

    Several of them may go to the same table; the engine drains ``chunks`` before it asks the format
    for the next one.

    Args:
        table: Where the rows go.
        file: The file, as named in rejects and messages.
        chunks: Read on demand.
        part: Empty when a row of the file is a row of the table (one track per line: the same key
            twice with different values is a reject). Otherwise the name of what is laid over the
            table by its key, e.g. ``"tags"`` for a file of tag assignments or ``"names"`` for titles
            that stand beside events: per column the first known value wins, lists are joined (a
            multiset). Parts are accounted for on their own, as ``tracks.tags``. A part whose lines
            were already accounted for in another table (``counted=False``) is not counted again.
        counted: Whether lines of this part enter the accounting.
        notes: One-line remarks for the report (which file was found, what was assumed).
        again: Gives the same table with chunks of its own, also in another process that sees the file
            (so it can be pickled). None where the rows depend on what the format has read before.
    """

    table: TableName
    file: Path
    chunks: Iterator[Chunk]
    part: str = ""
    counted: bool = True
    notes: tuple[str, ...] = ()
    again: Callable[[], RawTable] | None = None


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """What the engine tells a format.

    Args:
        replaced: Tables that come from files of their own; the format must not give them (parts of
            the ``tracks`` table are not asked for either once ``tracks`` is replaced).
        pairs: Distinct ``user_id``, ``track_id`` (text) of the events that replace the set's own;
            None when the set's own events are taken. Content that listeners made (their tags) must
            be limited to these pairs, and what is left out counted in `Chunk.left_out`: a listener's
            tags of held-out tracks would give the answer away.
        column_map: ``{schema column: column of the file}`` as the user said it; only formats whose
            columns are free look at it.
    """

    replaced: frozenset[TableName] = frozenset()
    pairs: pl.LazyFrame | None = None
    column_map: Mapping[str, str] = field(default_factory=dict)


class Format(Protocol):
    """A way to read a source. Implementations are stateless; a module offers one as ``FORMAT``."""

    @property
    def name(self) -> str:
        """The word after ``--format``."""

    @property
    def summary(self) -> str:
        """One line for help texts: what it reads and the files it looks for."""

    def detects(self, source: Path) -> bool:
        """Whether ``source`` (a file or a folder that exists) surely is of this format.

        Looks at names and at most the first lines; never raises for foreign content.
        """

    def tables(self, source: Path, options: FormatOptions) -> Iterable[RawTable]:
        """The tables of ``source``, events first.

        Raises:
            BadInputError: The source lacks a file or a column that the format needs.
        """
