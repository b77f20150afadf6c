"""From files of any supported format to a Dataset, in bounded memory, with every row accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import polars as pl

from audotics.data.catalogue import Catalogue
from audotics.data.cleaning import clean
from audotics.data.dataset import Dataset
from audotics.data.formats import detect, get_format
from audotics.data.formats.protocol import Chunk, Format, FormatOptions, RawTable, TableName
from audotics.data.formats.tabular import read_table
from audotics.data.manifest import Counts
from audotics.data.spool import EventSpool
from audotics.data.writer import DatasetWriter
from audotics.errors import BadInputError
from audotics.telemetry import Progress

MAX_REJECTS = 0.01
"""Share of unusable rows per source table above which an import stops."""

_BYTES_PER_BUCKET = 4 << 20  # about 250,000 events: sorting larger cuts misses the processor cache
_MAX_BUCKETS = 256
_EXAMPLES = 3


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
        job = _Import(writer, reader, source, own, dict(column_map or {}), progress or Progress())
        return job.run(max_rejects)


def _given_files(**paths: Path | str | None) -> dict[TableName, Path]:
    return {table: Path(path) for table in get_args(TableName) if (path := paths[table]) is not None}


@dataclass
class _Tally:
    """Running counts of one source table."""

    files: list[str] = field(default_factory=list)
    read: int = 0
    merged: int = 0
    rejected: int = 0
    left_out: int = 0
    examples: list[pl.DataFrame] = field(default_factory=list)

    def counts(self) -> Counts:
        accepted = self.read - self.merged - self.rejected
        return Counts(
            read=self.read,
            accepted=accepted,
            merged=self.merged,
            rejected=self.rejected,
            left_out=self.left_out,
        )


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
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._source = source
        self._own = own
        self._column_map = column_map
        self._progress = progress
        folder = writer.scratch / "events"
        folder.mkdir()
        self._spool = EventSpool(folder, _bucket_count([source, *own.values()]))
        self._catalogues: dict[TableName, Catalogue] = {
            table: Catalogue(table) for table in get_args(TableName) if table != "events"
        }
        self._tallies: dict[str, _Tally] = {}
        self._notes: list[str] = []

    def run(self, max_rejects: float) -> ImportReport:
        with self._progress.stage("read") as stage:
            for raw in self._raw_tables():
                self._notes.extend(raw.notes)
                for chunk in raw.chunks:
                    self._take(raw, chunk)
                    stage.advance(chunk.rows.height)
        for rejects in self._spool.settle_undated():
            self._reject("events", rejects)
        finished = {table: one.finish() for table, one in self._catalogues.items() if not one.is_empty}
        for table, result in finished.items():
            if table in self._tallies:  # not where its lines are counted as those of another table
                self._tally(table).merged += result.n_merged
                self._reject(table, result.rejected)
        self._check(max_rejects)
        with self._progress.stage("sort and write") as stage:
            for bucket in self._spool.buckets():
                self._tally("events").merged += bucket.n_merged
                self._writer.add_events(bucket.events)
                stage.advance(bucket.events.height)
            for table, result in finished.items():
                self._writer.set_table(table, result.rows)
            counts = {name: tally.counts() for name, tally in self._tallies.items()}
            self._prove(counts)
            dataset = self._writer.commit(counts)
        examples = [frame for tally in self._tallies.values() for frame in tally.examples]
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
        pairs = self._spool.pairs() if "events" in self._own else None
        options = FormatOptions(replaced, pairs, self._column_map)
        yield from self._reader.tables(self._source, options)
        for table in self._own:
            if table != "events":
                yield from self._own_tables(table)

    def _own_tables(self, table: TableName) -> Iterable[RawTable]:
        yield read_table(table, self._own[table], self._column_map)

    def _take(self, raw: RawTable, chunk: Chunk) -> None:
        cleaned = clean(chunk.rows, raw.file.name)
        if raw.counted:
            name = f"{raw.table}.{raw.part}" if raw.part else raw.table
            tally = self._tally(name, raw.file)
            tally.read += chunk.rows.height + chunk.rejected.height
            tally.left_out += sum(chunk.left_out.values())
            self._reject(name, chunk.rejected)
            self._reject(name, cleaned.rejected)
        if raw.table == "events":
            self._spool.add(cleaned.rows, raw.file.name)
        else:
            self._catalogues[raw.table].add(cleaned.rows, raw.file.name, raw.part)

    def _tally(self, name: str, file: Path | None = None) -> _Tally:
        tally = self._tallies.setdefault(name, _Tally())
        if file is not None and str(file) not in tally.files:
            tally.files.append(str(file))
        return tally

    def _reject(self, name: str, rejects: pl.DataFrame) -> None:
        if rejects.is_empty():
            return
        tally = self._tally(name)
        tally.rejected += rejects.height
        if sum(frame.height for frame in tally.examples) < _EXAMPLES:
            tally.examples.append(rejects.head(_EXAMPLES))
        self._writer.add_rejects(rejects)

    def _check(self, max_rejects: float) -> None:
        for name, tally in self._tallies.items():
            if tally.rejected > max_rejects * tally.read:
                raise BadInputError(
                    f"{tally.rejected:,} of {tally.read:,} rows for {name} are unusable, more than "
                    f"{100 * max_rejects:.3g} %; first: {_shown(tally.examples)}",
                    where=", ".join(tally.files[:3]),
                    remedy="Correct the file, check --map and --format, or allow more with --max-rejects",
                )
        events = self._tallies.get("events", _Tally())
        if events.read == events.rejected:
            raise BadInputError(
                "there are no events in it",
                where=", ".join(events.files[:3]) or str(self._source),
                remedy="At least one row with a listener and a track is needed; --events names a file",
            )


def _shown(examples: list[pl.DataFrame]) -> str:
    rows = pl.concat(examples).head(_EXAMPLES).iter_rows(named=True)
    return "; ".join(
        f"line {row['line']}"
        + (f", {row['column']}" if row["column"] else "")
        + f" {row['value'][:60]!r}: {row['reason']}"
        for row in rows
    )


def _bucket_count(paths: Iterable[Path]) -> int:
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return min(max(4, size // _BYTES_PER_BUCKET), _MAX_BUCKETS)
