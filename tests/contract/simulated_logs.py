"""A simulated service whose last days are new: what the checks of data and the gates look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.simulation import SimulationConfig, simulate_tables

N_DAYS, N_NEW = 24, 2


@dataclass(frozen=True)
class SimulatedLog:
    """Events, catalogue and listeners; ``new_from`` is the midnight at which the base ends."""

    events: pl.DataFrame
    tracks: pl.DataFrame
    users: pl.DataFrame
    new_from: datetime

    def base(self, folder: Path) -> Dataset:
        """The Dataset of the days before."""
        before = self.events.filter(pl.col("timestamp") < self.new_from)
        return write(folder, before, self.tracks, self.users)

    def whole(self, folder: Path) -> Dataset:
        """The Dataset of all days."""
        return write(folder, self.events, self.tracks, self.users)

    def with_events(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> SimulatedLog:
        """Other events."""
        return replace(self, events=change(self.events))

    def with_tracks(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> SimulatedLog:
        """Another catalogue."""
        return replace(self, tracks=change(self.tracks))


@cache
def simulated_log(seed: int = 0, n_users: int = 300, n_days: int = N_DAYS) -> SimulatedLog:
    """Simulate one."""
    config = SimulationConfig(n_users=n_users, n_tracks=600, n_days=n_days, seed=seed)
    tables = simulate_tables(config)
    new_from = config.started_on + timedelta(days=n_days - N_NEW)
    return SimulatedLog(tables.events, tables.tracks, tables.users, new_from)


def write(folder: Path, events: pl.DataFrame, tracks: pl.DataFrame, users: pl.DataFrame) -> Dataset:
    """A Dataset of three tables."""
    with DatasetWriter(folder, source="simulated") as writer:
        writer.add_events(events)
        writer.set_table("tracks", tracks)
        writer.set_table("users", users)
        return writer.commit()
