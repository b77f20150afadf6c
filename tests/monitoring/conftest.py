"""A simulated service: the reference that a version of its first weeks would keep, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.listening import Known
from audotics.data.listening_profile import profile_events
from audotics.monitoring.reference import Reference
from audotics.simulation import SimulationConfig
from audotics.simulation.service import simulate_tables

MONDAY = datetime(2026, 4, 6, tzinfo=UTC)
CUT = MONDAY + timedelta(days=28)
"""When the version was trained."""


@dataclass(frozen=True)
class World:
    """Listening before and after a training."""

    before: pl.DataFrame
    after: pl.DataFrame
    tracks: pl.DataFrame

    def reference(self, version: str = "v1") -> Reference:
        time = self.before["timestamp"]
        played = self.before.filter(pl.col("event").is_in(POSITIVE_EVENTS))
        return Reference(
            version,
            profile_events(self.before.lazy(), self.tracks, time.min(), time.max()),
            self.tracks,
            Known.of(self.before["user_id"], played.group_by("track_id").agg(n=pl.col("user_id").n_unique())),
        )


def simulated(seed: int = 0, n_users: int = 300) -> World:
    """Five weeks in which nobody's taste drifts; the last one follows the training."""
    made = simulate_tables(
        SimulationConfig(
            n_users=n_users,
            n_tracks=1500,
            n_days=35,
            seed=seed,
            started_on=MONDAY,
            abrupt_drift_share=0,
            gradual_drift_share=0,
        )
    )
    earlier = pl.col("timestamp") < CUT
    return World(made.events.filter(earlier), made.events.filter(~earlier), made.tracks)


@pytest.fixture(scope="session")
def world() -> World:
    """Shared; tests must not change it."""
    return simulated()


@pytest.fixture(scope="session")
def reference(world: World) -> Reference:
    """Of a version trained on the first four weeks."""
    return world.reference()
