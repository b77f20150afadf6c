"""The two steps of an import that workers can do: reading one file of events, sorting one cut of them.

Both read and write files that the importing process sees as well, and give back a few numbers: no row
passes through that process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from audotics.data.cleaning import clean
from audotics.data.event_parts import EventPart, write_part
from audotics.data.formats.protocol import RawTable
from audotics.data.spool import Cut, EventSpool, Spooled


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of events to read.

    Args:
        again: See `RawTable.again`.
        folder: Where workers put what they make.
        n_buckets: See `EventSpool`.
    """

    again: Callable[[], RawTable]
    folder: Path
    n_buckets: int


@dataclass(frozen=True, slots=True)
class ShardRead:
    """What a file of events held.

    Args:
        spooled: The rows that fit the schema.
        n_read: Rows of the file.
        n_left_out: Rows beside these that the set's rules exclude.
        rejects: Tables of the rows that do not fit, in their order; columns of ``schema.REJECTS``.
    """

    spooled: Spooled
    n_read: int
    n_left_out: int
    rejects: tuple[Path, ...]


def read_shard(shard: Shard) -> ShardRead:
    """Read, type and check the rows of one file, and cut them by listener.

    Every attempt writes to a folder of its own, so one that was killed leaves nothing that counts. Memory is
    that of a million rows, however long the file is.

    Raises:
        BadInputError: The file cannot be read.
    """
    raw = shard.again()
    folder = Path(tempfile.mkdtemp(prefix="shard-", dir=shard.folder))
    for name in ("rows", "rejects"):
        (folder / name).mkdir()
    spool = EventSpool(folder / "rows", shard.n_buckets)
    n_read = n_left_out = 0
    rejects: list[Path] = []
    for chunk in raw.chunks:
        cleaned = clean(chunk.rows, raw.file.name)
        n_read += chunk.rows.height + chunk.rejected.height
        n_left_out += sum(chunk.left_out.values())
        for refused in (chunk.rejected, cleaned.rejected):
            if not refused.is_empty():
                rejects.append(folder / "rejects" / f"{len(rejects):08d}.parquet")
                refused.write_parquet(rejects[-1])
        spool.add(cleaned.rows, raw.file.name)
    return ShardRead(spool.finish(), n_read, n_left_out, tuple(rejects))


def rejects_of(read: ShardRead) -> Iterator[pl.DataFrame]:
    """The rows of a file that do not fit, as they were refused."""
    for path in read.rejects:
        yield pl.read_parquet(path)


@dataclass(frozen=True, slots=True)
class SortedPart:
    """A cut of the events, written in order.

    Args:
        part: The file.
        n_merged: Rows that repeated another one exactly.
    """

    part: EventPart
    n_merged: int


def sort_cut(task: tuple[Cut, Path]) -> SortedPart:
    """Sort a cut and write it as a part of the events into a folder, under a name of its own.

    Raises:
        BadInputError: The rows break the schema.
    """
    cut, folder = task
    bucket = cut.sorted()
    path = Path(tempfile.mkdtemp(prefix="part-", dir=folder)) / "events.parquet"
    return SortedPart(write_part(bucket.events, path), bucket.n_merged)
