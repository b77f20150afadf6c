"""What listening looked like when a version was trained: the reference that later listening is held against.

A version keeps its profile in ``monitoring/reference.json``. The newest weeks of the data are described, not
all of it: what a version meets after training resembles them most. What can only be said of listening
*after* a training (who is unknown, how popular a track was before) is measured on the last days of the
data, held against everything before them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.dataset import Dataset
from audotics.data.distributions import Distribution
from audotics.data.listening import CELLS, WEEKDAY, Known, listening
from audotics.errors import DamagedError

PROFILE = Path("monitoring") / "reference.json"
"""Where a version keeps its profile."""

SCHEMA_VERSION = 1

WEEK = timedelta(days=7)
WEEKS = 4
"""How much of the end of the data is described."""

MOST_EVENTS = 1_000_000
"""Beyond about so many events some listeners are drawn, whole: shares of a million are exact enough."""

N_TOP = 1000


class Popularity(BaseModel):
    """How listening spreads over tracks; a track counts once for each listener and day.

    Args:
        top: The most played tracks and their counts, best first.
        tail: Of all other tracks: pairs of a count and how many tracks have it, ascending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: dict[str, int]
    tail: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, events: pl.DataFrame, n_top: int = N_TOP) -> Self:
        """Count events with user_id, track_id and timestamp."""
        once = events.select("user_id", "track_id", pl.col("timestamp").dt.date()).unique()
        counts = once.group_by("track_id").len("n").sort("n", "track_id", descending=[True, False])
        tail = counts.slice(n_top).group_by("n").len("tracks").sort("n")
        return cls(top=dict(counts.head(n_top).rows()), tail=tuple(tail.rows()))

    @property
    def counts(self) -> np.ndarray:
        """``[n_tracks]`` counts, largest first."""
        tail = [np.full(n_tracks, count, np.int64) for count, n_tracks in reversed(self.tail)]
        return np.concatenate([np.fromiter(self.top.values(), np.int64, len(self.top)), *tail])


class ListeningProfile(BaseModel):
    """The reference that a version keeps.

    Args:
        schema_version: Of this record.
        starts_at: Since when events are described; None without times.
        ends_at: Time of the last event; None without times.
        quantities: What is described, by its name in `audotics.data.listening.listening`.
        popularity: Of the last days; None without times.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    starts_at: AwareDatetime | None
    ends_at: AwareDatetime | None
    quantities: dict[str, Distribution]
    popularity: Popularity | None

    def write(self, version: Path) -> None:
        """Write into the folder of a version that is being made."""
        path = version / PROFILE
        path.parent.mkdir(exist_ok=True)
        path.write_text(self.model_dump_json(), encoding="utf-8")

    @classmethod
    def read(cls, version: Path) -> Self | None:
        """The profile in a version's folder; None where it was published without one.

        Raises:
            DamagedError: It cannot be read, or is from a newer Audotics.
        """
        path = version / PROFILE
        if not path.exists():
            return None
        try:
            profile = cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DamagedError("the listening profile cannot be read", where=str(path)) from error
        if profile.schema_version > SCHEMA_VERSION:
            raise DamagedError("the listening profile is from a newer Audotics", where=str(path))
        return profile


def profile_dataset(dataset: Dataset) -> ListeningProfile:
    """The profile of a Dataset: of its last four weeks, or of all of it where there are no times."""
    parts = -(-dataset.manifest.rows.get("events", 0) // MOST_EVENTS)
    events = dataset.events()
    if parts > 1:
        events = events.filter(pl.col("user_id").hash() % parts == 0)
    if dataset.manifest.time_range is not None:
        return profile_events(events, dataset.tracks(), *dataset.manifest.time_range)
    everything = events.collect()
    table = listening(everything, dataset.tracks())
    return ListeningProfile(
        starts_at=None, ends_at=None, quantities=_distributions(table, everything), popularity=None
    )


def profile_events(
    events: pl.LazyFrame, tracks: pl.DataFrame, starts_at: datetime, ends_at: datetime
) -> ListeningProfile:
    """The profile of events with times.

    Args:
        events: Columns of ``schema.EVENTS``.
        tracks: Columns of ``schema.TRACKS`` and ``feature_*``.
        starts_at: Time of the first event.
        ends_at: Time of the last one.
    """
    span = ends_at - starts_at
    time = pl.col("timestamp")
    # Whole weeks, as weekdays are counted; the last days are a quarter of a short log.
    since = ends_at - min(WEEKS, span // WEEK) * WEEK if span >= WEEK else starts_at - timedelta(seconds=1)
    last_since = ends_at - min(WEEK, span / 4)
    newest = events.filter(time > since).collect()
    before = events.filter(time <= last_since)
    last = newest.filter(time > last_since)
    known = Known.of(
        before.select("user_id").unique().collect().to_series(),
        before.filter(pl.col("event").is_in(POSITIVE_EVENTS))
        .group_by("track_id")
        .agg(n=pl.col("user_id").n_unique())
        .collect(),
    )
    table = listening(newest, tracks)
    if span < WEEK:
        table = table.drop(WEEKDAY)
    after = listening(last, tracks, known).select(*CELLS)
    return ListeningProfile(
        starts_at=since,
        ends_at=ends_at,
        quantities=_distributions(table, newest) | _distributions(after, last),
        popularity=Popularity.of(last),
    )


def _distributions(table: pl.DataFrame, events: pl.DataFrame) -> dict[str, Distribution]:
    """Of every column that says anything."""
    listeners = events["user_id"].rank("dense").to_numpy() - 1
    told = [column for column in table if column.null_count() < table.height]
    return {
        column.name: Distribution.of_numbers(column, listeners)
        if column.dtype.is_float()
        else Distribution.of_values(column, listeners, CELLS.get(column.name, ()))
        for column in told
    }
