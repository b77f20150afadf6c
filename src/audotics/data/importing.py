"""From files of any supported format to a Dataset, in bounded memory, with every row accounted for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import polars as pl

from audotics.data.catalogue import Catalogue
from audotics.data.cleaning import clean
from audotics.data.dataset import Dataset
from audotics.data.formats import detect, get_format
from audotics.data.formats.protocol import Format, FormatOptions, RawTable, TableName
from audotics.data.formats.tabular import read_table
from audotics.data.manifest import Counts
from audotics.data.sharding import Shard, ShardRead, read_shard, rejects_of, sort_cut
from audotics.data.spool import EventSpool
from audotics.data.tallies import Tallies
from audotics.data.writer import DatasetWriter
from audotics.errors import BadInputError
from audotics.telemetry import Progress, Stage
from audotics.workers import Workers

MAX_REJECTS = 0.01
"""Share of unusable rows per source table above which an import stops."""

_BYTES_PER_BUCKET = 4 << 20  # about 250,000 events: sorting larger cuts misses the processor cache
_MAX_BUCKETS = 256


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Args:
        dataset: The result.
        format: The format that read the source.
        counts: Accounting per source table: ``events``, ``tracks``, ``tracks.tags``, ...
        notes: Which columns were recognised or ignored, and what the format remarked.
        rejects: The first few rejects, columns of ``schema.REJECTS``.
    """

    dataset: Dataset
    format: str
    counts: dict[str, Counts]
    notes: tuple[str, ...]
    rejects: pl.DataFrame

    def as_dict(self) -> dict[str, object]:
        """Everything as plain values, for JSON."""
        return {
            "dataset": str(self.dataset.path),
            "format": self.format,
            "counts": {name: counts.model_dump() for name, counts in self.counts.items()},
            "rows": self.dataset.manifest.rows,
            "time_range": [at.isoformat() for at in self.dataset.manifest.time_range or ()],
            "fingerprint": self.dataset.manifest.fingerprint,
            "notes": list(self.notes),
            "rejects": self.rejects.to_dicts(),
        }


def import_dataset(
    source: Path | str,
    format: str = "auto",
    out: Path | str = "dataset",
    *,
    events: Path | str | None = None,
    tracks: Path | str | None = None,
    users: Path | str | None = None,
    playlists: Path | str | None = None,
    column_map: Mapping[str, str] | None = None,
    max_rejects: float = MAX_REJECTS,
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> ImportReport:
    """Read a source, refuse what is wrong row by row, and write a Dataset.

    Rows read = rows accepted + exact duplicates merged + rows rejected, per source table.

    Args:
        source: A file of events, or the folder of a set.
        format: A name of `audotics.data.formats.FORMAT_NAMES`; ``auto`` looks at the files.
        out: The Dataset folder to make; replaces a Dataset that is there.
        events: File that replaces the events of the source. Content made by listeners is then limited
            to the listener-track pairs of this file.
        tracks: File that replaces or adds the tracks table.
        users: File that replaces or adds the users table.
        playlists: File that replaces or adds the playlists table.
        column_map: ``{schema column: column of the file}`` (or the other way round) where names are
            neither those of the schema nor well known.
        max_rejects: Share of rejects, per source table, above which nothing is written.
        progress: Shows the stages.
        workers: Read files of events and sort them, several at once, where the format's files can be read
            one by one; the Dataset is the same, bit for bit. They must see ``source`` and ``out`` under the
            same paths. None reads and sorts in this process.

    Raises:
        BadInputError: A source is missing, unreadable or holds too many unusable rows, or ``out``
            exists and is no Dataset. Nothing is changed then.
    """
    source = Path(source)
    own = _given_files(events=events, tracks=tracks, users=users, playlists=playlists)
    for path in (source, *own.values()):
        if not path.exists():
            raise BadInputError("no such file or folder", where=str(path), remedy="Check the path")
    reader = detect(source) if format == "auto" else get_format(format)
    named = [source.name, *(f"{table} {path.name}" for table, path in own.items())]
    with DatasetWriter(out, source=f"{reader.name}: {', '.join(named)}") as writer:
        job = _Import(writer, reader, source, own, dict(column_map or {}), progress or Progress(), workers)
        return job.run(max_rejects)


def _given_files(**paths: Path | str | None) -> dict[TableName, Path]:
    return {table: Path(path) for table in get_args(TableName) if (path := paths[table]) is not None}


class _Import:
    """One run of `import_dataset`."""

    def __init__(
        self,
        writer: DatasetWriter,
        reader: Format,
        source: Path,
        own: Mapping[TableName, Path],
        column_map: Mapping[str, str],
        progress: Progress,
        workers: Workers | None,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._source = source
        self._own = own
        self._column_map = column_map
        self._progress = progress
        self._workers = workers
        self._folder = writer.scratch / "events"
        self._folder.mkdir()
        self._n_buckets = _bucket_count([source, *own.values()])
        self._spool = EventSpool(self._folder, self._n_buckets)
        self._waiting: list[RawTable] = []
        self._catalogues: dict[TableName, Catalogue] = {
            table: Catalogue(table) for table in get_args(TableName) if table != "events"
        }
        self._tallies = Tallies()
        self._notes: list[str] = []

    def run(self, max_rejects: float) -> ImportReport:
        with self._progress.stage("read") as stage:
            for raw in self._raw_tables():
                self._notes.extend(raw.notes)
                self._read(raw, stage)
            self._read_waiting(stage)
        for rejects in self._spool.settle_undated():
            self._reject("events", rejects)
        finished = {table: one.finish() for table, one in self._catalogues.items() if not one.is_empty}
        for table, result in finished.items():
            if table in self._tallies:  # not where its lines are counted as those of another table
                self._tallies.of(table).merged += result.n_merged
                self._reject(table, result.rejected)
        self._tallies.check(max_rejects, self._source)
        with self._progress.stage("sort and write") as stage:
            self._sort(stage)
            for table, result in finished.items():
                self._writer.set_table(table, result.rows)
            counts = self._tallies.counts()
            self._prove(counts)
            dataset = self._writer.commit(counts)
        examples = self._tallies.examples()
        rejects = pl.concat(examples) if examples else dataset.rejects().head(0)
        return ImportReport(dataset, self._reader.name, counts, tuple(dict.fromkeys(self._notes)), rejects)

    def _prove(self, counts: Mapping[str, Counts]) -> None:
        """What was written is what was counted; anything else is a bug and must not be committed."""
        written = self._writer.rows["events"]
        if written != counts["events"].accepted:
            raise AssertionError(f"{written} events written, {counts['events'].accepted} accepted")

    def _raw_tables(self) -> Iterable[RawTable]:
        """Files of their own first where they are events: formats limit content to these events."""
        replaced = frozenset(self._own)
        if "events" in self._own:
            yield from self._own_tables("events")
            self._read_waiting()
        pairs = self._spool.pairs() if "events" in self._own else None
        options = FormatOptions(replaced, pairs, self._column_map)
        yield from self._reader.tables(self._source, options)
        for table in self._own:
            if table != "events":
                yield from self._own_tables(table)

    def _own_tables(self, table: TableName) -> Iterable[RawTable]:
        yield read_table(table, self._own[table], self._column_map)

    def _read(self, raw: RawTable, stage: Stage) -> None:
        """Let workers read a file of events later, together with others; anything else now and here."""
        if self._workers is None:
            self._read_here(raw, self._spool, stage)
        elif raw.table == "events" and raw.counted and raw.again is not None:
            self._waiting.append(raw)
        else:
            self._read_waiting(stage)
            apart = EventSpool(Path(tempfile.mkdtemp(prefix="here-", dir=self._folder)), self._n_buckets)
            self._read_here(raw, apart, stage)
            self._spool.adopt(apart.finish())

    def _read_here(self, raw: RawTable, spool: EventSpool, stage: Stage) -> None:
        for chunk in raw.chunks:
            cleaned = clean(chunk.rows, raw.file.name)
            if raw.counted:
                name = f"{raw.table}.{raw.part}" if raw.part else raw.table
                tally = self._tallies.of(name, raw.file)
                tally.read += chunk.rows.height + chunk.rejected.height
                tally.left_out += sum(chunk.left_out.values())
                self._reject(name, chunk.rejected)
                self._reject(name, cleaned.rejected)
            if raw.table == "events":
                spool.add(cleaned.rows, raw.file.name)
            else:
                self._catalogues[raw.table].add(cleaned.rows, raw.file.name, raw.part)
            stage.advance(chunk.rows.height)

    def _read_waiting(self, stage: Stage | None = None) -> None:
        """Have the files read that wait, and count what was in them in their order."""
        waiting, self._waiting = self._waiting, []
        if self._workers is None or not waiting:
            return
        shards = (Shard(raw.again, self._folder, self._n_buckets) for raw in waiting if raw.again is not None)
        for raw, read in zip(waiting, self._workers.map(read_shard, shards), strict=True):
            self._count_read(raw, read)
            if stage is not None:
                stage.advance(read.n_read)

    def _count_read(self, raw: RawTable, read: ShardRead) -> None:
        tally = self._tallies.of("events", raw.file)
        tally.read += read.n_read
        tally.left_out += read.n_left_out
        for rejects in rejects_of(read):
            self._reject("events", rejects)
        self._spool.adopt(read.spooled)

    def _sort(self, stage: Stage) -> None:
        """Write the events, listener by listener."""
        tally = self._tallies.of("events")
        if self._workers is None:
            for bucket in self._spool.buckets():
                tally.merged += bucket.n_merged
                self._writer.add_events(bucket.events)
                stage.advance(bucket.events.height)
            return
        tasks = ((cut, self._folder) for cut in self._spool.cuts())
        for done in self._workers.map(sort_cut, tasks):
            tally.merged += done.n_merged
            self._writer.take_part(done.part)
            stage.advance(done.part.n_rows)

    def _reject(self, name: str, rejects: pl.DataFrame) -> None:
        if not rejects.is_empty():
            self._tallies.of(name).reject(rejects)
            self._writer.add_rejects(rejects)


def _bucket_count(paths: Iterable[Path]) -> int:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return min(max(4, size // _BYTES_PER_BUCKET), _MAX_BUCKETS)
