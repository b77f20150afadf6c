"""One small world, simulated once for all tests of the room."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.simulation import SimulationConfig, simulate_tables
from audotics.simulation.service import MusicService, SimulatedTables


@pytest.fixture(scope="session")
def config() -> SimulationConfig:
    return SimulationConfig(n_users=1_500, n_tracks=4_000, n_days=60, n_events=150_000, seed=11)


@pytest.fixture(scope="session")
def world(config: SimulationConfig) -> SimulatedTables:
    return simulate_tables(config)


@pytest.fixture(scope="session")
def service(config: SimulationConfig) -> MusicService:
    return MusicService(config)


@pytest.fixture(scope="session")
def log(world: SimulatedTables) -> pl.DataFrame:
    """The events with what the truth knows of them: user, track, genre, day of the log, affinity then."""
    truth, events = world.truth, world.events
    start = truth.config.started_on.timestamp()
    day = events["timestamp"].dt.epoch("us").to_numpy() / 86_400e6 - start / 86_400
    user, track = truth.users(events["user_id"]), truth.tracks(events["track_id"])
    return events.with_columns(
        pl.Series("user", user),
        pl.Series("track", track),
        pl.Series("genre", truth.track_genre[track].astype(np.int64)),
        pl.Series("day", day),
        pl.Series("drift_day", truth.drift_day[user]),
    )
