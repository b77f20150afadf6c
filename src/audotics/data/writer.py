"""Writing a Dataset: everything goes into a folder beside the target, which then takes its place."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from audotics.data.dataset import EVENTS_FOLDER, Dataset
from audotics.data.event_parts import EventPart, write_part
from audotics.data.formats.protocol import TableName
from audotics.data.manifest import MANIFEST_NAME, Counts, Manifest, fingerprint_of
from audotics.data.schema import REJECTS, SCHEMA_VERSION
from audotics.data.validation import check_table, complete
from audotics.errors import BadInputError
from audotics.registry.durable import flush_folder, make_folder, seal_file, try_lock, write_new
from audotics.registry.manifest import FileRecord
from audotics.version import __version__

_SCRATCH = "scratch"
_REJECTS_HELD = 200_000
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class DatasetWriter:
    """Builds a Dataset folder; readers of ``target`` see the old one or the new one, never a mix.

    Use it as a context manager: leaving it without `commit` (an error, Ctrl-C) removes all traces, and
    what a killed process left is removed by the next writer of the same target.

    Args:
        target: The folder to make; an existing Dataset there is replaced by `commit`.
        source: What the data is made from, for the manifest.

    Attributes:
        rows: Rows written so far, per table.

    Raises:
        BadInputError: ``target`` exists and is not a Dataset.
    """

    def __init__(self, target: Path | str, *, source: str = "") -> None:
        self._target = Path(target)
        self._source = source
        _refuse_foreign(self._target)
        make_folder(self._target.parent)
        _remove_abandoned(self._target)
        self._staging = self._target.with_name(f"{_staging_prefix(self._target)}{secrets.token_hex(4)}")
        make_folder(self._staging / EVENTS_FOLDER)
        self._lock = try_lock(self._staging)
        self.rows: dict[str, int] = {}
        self._n_parts = 0
        self._context: tuple[str, ...] | None = None
        self._range: tuple[datetime, datetime] | None = None
        self._untimed = 0
        self._rejects: list[pl.DataFrame] = []
        self._n_reject_files = 0

    @property
    def scratch(self) -> Path:
        """A folder for temporary files on the same disk, gone when the writer is done."""
        return make_folder(self._staging / _SCRATCH)

    def add_events(self, events: pl.DataFrame) -> None:
        """Write one part of the events.

        Args:
            events: Columns of ``schema.EVENTS`` (those that are absent are filled) and ``context_*``,
                the same ones in every part. Best sorted by listener and time, each listener in one part.

        Raises:
            BadInputError: The rows break the schema, or only some of all rows have times.
        """
        self.take_part(write_part(events, self._part_path))

    def take_part(self, part: EventPart) -> None:
        """Take over one part that was written elsewhere on the same disk, as `add_events` would write it.

        Raises:
            BadInputError: Its columns are not those of the other parts.
        """
        if self._context not in (None, part.columns):
            raise BadInputError("parts of the events have different context columns")
        self._context = part.columns
        self._note_times(part)
        part.path.rename(self._part_path)
        self._n_parts += 1
        self.rows["events"] = self.rows.get("events", 0) + part.n_rows

    def set_table(self, table: TableName, frame: pl.DataFrame) -> None:
        """Write the tracks, users or playlists.

        Raises:
            BadInputError: The rows break the schema, or a key stands twice.
        """
        frame = check_table(table, complete(table, frame))
        frame.write_parquet(self._staging / f"{table}.parquet")
        self.rows[table] = frame.height

    def add_rejects(self, rejects: pl.DataFrame) -> None:
        """Keep rows that could not be taken: columns of ``schema.REJECTS``."""
        if rejects.is_empty():
            return
        self._rejects.append(rejects)
        self.rows["rejects"] = self.rows.get("rejects", 0) + rejects.height
        if sum(frame.height for frame in self._rejects) > _REJECTS_HELD:
            pl.concat(self._rejects).write_parquet(
                self.scratch / f"rejects-{self._n_reject_files:05d}.parquet"
            )
            self._n_reject_files += 1
            self._rejects = []

    def commit(self, counts: Mapping[str, Counts] | None = None) -> Dataset:
        """Flush everything to the disk and put the folder in its place.

        Args:
            counts: Accounting per source table; without, every written row counts as read and accepted.

        Raises:
            BadInputError: Only some of the events have times.
        """
        if self._range is not None and self._untimed:
            raise BadInputError("some events have a timestamp and some have none")
        if self._n_parts == 0:
            self.add_events(
                complete("events", pl.DataFrame(schema={"user_id": pl.String, "track_id": pl.String}))
            )
        self._write_rejects()
        shutil.rmtree(self._staging / _SCRATCH, ignore_errors=True)
        manifest = self._manifest(counts)
        write_new(self._staging / MANIFEST_NAME, manifest.model_dump_json(indent=2) + "\n")
        flush_folder(self._staging / EVENTS_FOLDER)
        flush_folder(self._staging)
        _put_in_place(self._staging, self._target)
        self._unlock()
        return Dataset(self._target, manifest)

    def discard(self) -> None:
        """Remove everything written so far; does nothing after `commit`."""
        shutil.rmtree(self._staging, ignore_errors=True)
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    @property
    def _part_path(self) -> Path:
        return self._staging / EVENTS_FOLDER / f"part-{self._n_parts:05d}.parquet"

    def _note_times(self, part: EventPart) -> None:
        self._untimed += part.n_untimed
        if part.time_range is not None:
            first, last = part.time_range
            known = self._range or part.time_range
            self._range = (min(first, known[0]), max(last, known[1]))

    def _manifest(self, counts: Mapping[str, Counts] | None) -> Manifest:
        if counts is None:
            counts = {name: Counts(read=rows, accepted=rows) for name, rows in self.rows.items()}
        files = {
            path.relative_to(self._staging).as_posix(): _record(path)
            for path in sorted(self._staging.rglob("*.parquet"))
        }
        return Manifest(
            schema_version=SCHEMA_VERSION,
            created_at=datetime.now(UTC),
            created_by=f"audotics {__version__}",
            source=self._source,
            counts=dict(counts),
            rows=self.rows,
            time_range=self._range,
            files=files,
            fingerprint=fingerprint_of(files),
        )

    def _write_rejects(self) -> None:
        spilled = sorted((self._staging / _SCRATCH).glob("rejects-*.parquet"))
        frames = [pl.scan_parquet(spilled)] if spilled else []
        held = [frame.lazy() for frame in self._rejects] or [pl.LazyFrame(schema=REJECTS)]
        pl.concat([*frames, *held]).sink_parquet(self._staging / "rejects.parquet")

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _record(path: Path) -> FileRecord:
    sha256, size = seal_file(path)
    return FileRecord(size=size, sha256=sha256)


def _refuse_foreign(target: Path) -> None:
    if not os.path.lexists(target):
        return
    is_dataset = not target.is_symlink() and (target / MANIFEST_NAME).is_file()
    is_empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if not (is_empty or (is_dataset and Manifest.read(target).kind)):
        raise BadInputError(
            "the output exists and is not a dataset",
            where=str(target),
            remedy="Choose another folder, or remove it yourself",
        )


def _staging_prefix(target: Path) -> str:
    return f".{target.name}.staging-"


def _remove_abandoned(target: Path) -> None:
    """Staging folders whose writer is dead: the system has released their lock."""
    for path in target.parent.glob(f"{_staging_prefix(target)}*"):
        lock = try_lock(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _put_in_place(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        flush_folder(target.parent)
        return
    # The two folders swap names in one step, so that no crash leaves the name without a folder.
    if not _exchange(staging, target):
        aside = staging.with_name(f"{staging.name}-old")
        target.rename(aside)
        staging.rename(target)
        aside.rename(staging)
    flush_folder(target.parent)
    shutil.rmtree(staging)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names atomically (Linux); False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
