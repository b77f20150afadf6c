"""How large the simulated service is and how its listeners behave."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Self
from zlib import crc32

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

EVENTS_PER_USER_DAY = 6
"""Listens of a listener on a day, on average, where the settings do not say how many events they want."""


MOST_PER_USER_DAY = 50
"""More than that would not fit into the days of those who listen most."""


class SimulationConfig(BaseModel):
    """Settings of a simulation; two equal ones give the same service, event by event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_users: int = Field(ge=1, le=5_000_000, description="Listeners")
    n_tracks: int = Field(
        ge=1, le=5_000_000, description="Tracks in the catalogue, those yet to come included"
    )
    n_days: int = Field(ge=1, le=3_650, description="Days of listening")
    seed: int = Field(default=0, ge=0, description="Decides everything random")
    n_events: int | None = Field(
        default=None,
        ge=1,
        description="Listens wanted, met roughly; None is 6 per listener and day",
    )
    started_on: datetime = Field(
        default=datetime(2025, 1, 6, tzinfo=UTC), description="First instant of the log, a midnight in UTC"
    )
    abrupt_drift_share: float = Field(
        default=0.3, ge=0, le=1, description="Listeners whose taste changes from one day to the next"
    )
    gradual_drift_share: float = Field(
        default=0.2, ge=0, le=1, description="Of the other listeners, those whose taste wanders slowly"
    )
    newcomer_share: float = Field(
        default=0.15, ge=0, le=1, description="Listeners who sign up during the log"
    )
    new_release_share: float = Field(default=0.12, ge=0, le=1, description="Albums released during the log")
    exploration: float = Field(
        default=0.1, ge=0, le=1, description="Listens taken from the charts, not by taste"
    )
    album_runs: float = Field(
        default=0.25, ge=0, le=1, description="Listens that go on with the album or artist just heard"
    )
    context_strength: float = Field(
        default=1.0, ge=0, description="How much the hour changes which genres are chosen; 0 is not at all"
    )

    @field_validator("started_on")
    @classmethod
    def _is_midnight(cls, value: datetime) -> datetime:
        if value.utcoffset() != timedelta(0) or value.time() != time(0):
            raise ValueError("the log must start at a midnight in UTC")
        return value

    @model_validator(mode="after")
    def _fits_into_days(self) -> Self:
        if self.expected_events > MOST_PER_USER_DAY * self.n_users * self.n_days:
            raise ValueError(f"nobody listens to more than {MOST_PER_USER_DAY} tracks a day on average")
        return self

    @property
    def expected_events(self) -> int:
        """How many listens the log has, but for chance."""
        return EVENTS_PER_USER_DAY * self.n_users * self.n_days if self.n_events is None else self.n_events

    def generator(self, concern: str, *numbers: int) -> np.random.Generator:
        """The random numbers of one concern: changing one part of the simulation leaves the others alone."""
        return np.random.default_rng([self.seed, crc32(concern.encode()), *numbers])
