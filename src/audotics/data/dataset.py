"""Dataset: an immutable folder of Parquet files with a manifest, and how one is read and written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Self

import polars as pl

from audotics.data.manifest import MANIFEST_NAME, Manifest, verify_files
from audotics.data.schema import PLAYLISTS, REJECTS, TIMESTAMP, TRACKS, USERS
from audotics.errors import BadInputError

EVENTS_FOLDER = "events"
_TABLES = {"tracks": TRACKS, "users": USERS, "playlists": PLAYLISTS, "rejects": REJECTS}


class Dataset:
    """Listening data on disk, verified. Make one with `Dataset.open`, `import_dataset` or `DatasetWriter`.

    Args:
        path: The folder.
        manifest: What is in it.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._before: datetime | None = None

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a folder and check every file of it against the manifest.

        Raises:
            BadInputError: There is no dataset at ``path``.
            DamagedError: A file is missing, changed, unlisted or a link, or the dataset was written
                by a newer version of this package.
        """
        folder = Path(path)
        if not (folder / MANIFEST_NAME).is_file():
            raise BadInputError(
                "there is no dataset here (no manifest.json)",
                where=str(folder),
                remedy="Make one with `audotics import` or `audotics simulate`",
            )
        manifest = Manifest.read(folder)
        verify_files(folder, manifest)
        return cls(folder, manifest)

    def events(self) -> pl.LazyFrame:
        """The events: every column of ``schema.EVENTS``, then any ``context_*``.

        Imported data lies listener by listener, oldest first (file order where there are no times).
        """
        events = pl.scan_parquet(sorted((self.path / EVENTS_FOLDER).glob("*.parquet")))
        return events if self._before is None else events.filter(pl.col("timestamp") < self._before)

    def before(self, moment: datetime) -> Self:
        """The same folder as it looked at a moment: only events that happened earlier.

        Its manifest counts and dates those events; the fingerprint stays that of the whole folder. The
        other tables say nothing of time and are whole.

        Args:
            moment: With a time zone.

        Raises:
            BadInputError: The data has no times, or nothing happened earlier.
        """
        earlier = type(self)(self.path, self.manifest)
        earlier._before = moment if self._before is None else min(moment, self._before)
        time = pl.col("timestamp")
        events = earlier.events() if self.timed else pl.LazyFrame(schema={"timestamp": TIMESTAMP})
        first, last, n = events.select(time.min(), time.max().alias("last"), pl.len()).collect().row(0)
        if not n:
            raise BadInputError(f"no event has a time before {moment.isoformat()}", where=str(self.path))
        rows = {**self.manifest.rows, "events": n}
        earlier.manifest = self.manifest.model_copy(update={"time_range": (first, last), "rows": rows})
        return earlier

    def tracks(self) -> pl.DataFrame:
        """One row per track of the catalogue: ``schema.TRACKS``, then any ``feature_*``; empty if none."""
        return self._table("tracks")

    def users(self) -> pl.DataFrame:
        """One row per described listener: ``schema.USERS``, then any ``feature_*``; empty if none."""
        return self._table("users")

    def playlists(self) -> pl.DataFrame:
        """Tracks of playlists in order: ``schema.PLAYLISTS``; empty if none."""
        return self._table("playlists")

    def rejects(self) -> pl.DataFrame:
        """Rows of the sources that could not be taken, and why: ``schema.REJECTS``."""
        return self._table("rejects")

    @property
    def timed(self) -> bool:
        """Whether the events have timestamps."""
        return self.manifest.time_range is not None

    def _table(self, name: str) -> pl.DataFrame:
        file = self.path / f"{name}.parquet"
        return pl.read_parquet(file) if file.exists() else pl.DataFrame(schema=_TABLES[name])

    def __repr__(self) -> str:
        rows = self.manifest.rows
        return (
            f"Dataset({self.path.name!r}, {rows.get('events', 0):,} events, {rows.get('tracks', 0):,} tracks)"
        )
