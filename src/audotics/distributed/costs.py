"""What work cost where it was measured, at several sizes, and the curve through that.

``costs.json`` beside this module holds the measurements; ``scripts/measure_scale.py --write-costs`` makes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audotics.errors import DamagedError
from audotics.retrieval.ease import EASEConfig

COSTS_FILE = "costs.json"

STEEPEST = 3.0
"""Nothing here grows faster than the inverse of a dense matrix; a steeper step is noise."""

Driver = Literal["events", "listeners", "tracks", "ease"]
"""What a cost grows with; ``ease`` is how many tracks EASE lets take part."""

STAGES: Mapping[str, Driver] = {
    "journal": "events",
    "import": "events",
    "corpus": "events",
    "features": "tracks",
    "popularity": "events",
    "favourites": "events",
    "content": "tracks",
    "item-knn": "events",
    "user-knn": "events",
    "rp3beta": "events",
    "transitions": "events",
    "ials": "events",
    "ease": "ease",
    "sequence": "tracks",
    "lists": "tracks",
    "ranker": "tracks",
    "version": "tracks",
    "batch": "tracks",
}
"""What is measured, in the order of the work, and what it grows with. ``lists`` and ``ranker`` learn from a
bounded number of listeners (`TrainConfig.hide_from`), so listeners do not drive them."""


class Point(BaseModel):
    """One stage at one size.

    Args:
        n_events: Events of the log.
        n_listeners: Listeners with events.
        n_tracks: Tracks of the catalogue.
        outcome: ``done``, ``timeout`` (nothing else is known then) or ``failed``.
        seconds: Wall-clock time on one core.
        memory_mib: Peak resident memory above that of the process before it read any data.
        stored_bytes: What it leaves on the disk; 0 where nothing.
        answer_s: Time of one answer, or one listener of a batch; 0 where it answers nobody.
        note: What went wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_events: int = Field(gt=0)
    n_listeners: int = Field(gt=0)
    n_tracks: int = Field(gt=0)
    outcome: Literal["done", "timeout", "failed"] = "done"
    seconds: float = Field(0.0, ge=0)
    memory_mib: float = Field(0.0, ge=0)
    stored_bytes: int = Field(0, ge=0)
    answer_s: float = Field(0.0, ge=0)
    note: str = ""

    def size(self, driver: Driver) -> float:
        """How large this is in what a cost grows with."""
        return size_of(driver, self.n_events, self.n_listeners, self.n_tracks)


def size_of(driver: Driver, n_events: float, n_listeners: float, n_tracks: float) -> float:
    """The size that a cost grows with."""
    match driver:
        case "events":
            return n_events
        case "listeners":
            return n_listeners
        case "tracks":
            return n_tracks
        case "ease":
            return ease_tracks(n_listeners, n_tracks)


def ease_tracks(n_listeners: float, n_tracks: float) -> float:
    """How many tracks take part in EASE with its default settings: its matrix must fit in its memory."""
    config = EASEConfig()
    side = int((config.memory_mb * 2**20 / 8) ** 0.5)
    most = config.max_tracks if min(n_listeners, n_tracks) <= side else min(side, config.max_tracks)
    return min(n_tracks, most)


@dataclass(frozen=True, slots=True)
class Law:
    """``value * (size / at) ** exponent``: a power law through the largest measured size.

    Args:
        at: The largest measured size.
        value: What was measured there.
        exponent: Slope of the least-squares line through the logarithms of all sizes; never below 0.
        beyond: The exponent beyond the largest size: that, or the slope of the last step where it is steeper,
            as a fixed cost makes the curve flat where sizes are small. At most `STEEPEST`.
        n_points: Sizes that it rests on; with one, exponents are taken to be 1.
    """

    at: float
    value: float
    exponent: float
    beyond: float
    n_points: int

    @classmethod
    def through(cls, sizes: Sequence[float], values: Sequence[float]) -> Law | None:
        """Fit to measurements; those of 0 say nothing. None where none is left."""
        pairs = sorted((x, y) for x, y in zip(sizes, values, strict=True) if x > 0 and y > 0)
        if not pairs:
            return None
        x, y = np.log(np.array(pairs)).T
        centred = x - x.mean()
        spread = float(centred @ centred)
        exponent = max(0.0, float(centred @ y) / spread) if spread > 0 else 1.0
        smaller = np.flatnonzero(x < x[-1])
        last = (y[-1] - y[smaller[-1]]) / (x[-1] - x[smaller[-1]]) if len(smaller) else exponent
        beyond = min(STEEPEST, max(exponent, float(last)))
        return cls(pairs[-1][0], pairs[-1][1], exponent, beyond, len({x for x, _ in pairs}))

    def __call__(self, size: float) -> float:
        """The cost at a size."""
        exponent = self.beyond if size > self.at else self.exponent
        return self.value * (size / self.at) ** exponent if size > 0 else 0.0

    def size_for(self, cost: float) -> float:
        """The size that costs so much; infinite where the cost does not grow."""
        exponent = self.beyond if cost > self.value else self.exponent
        if exponent == 0:
            return math.inf
        # Of two numbers so far apart that no float holds the power, the size is beyond anything.
        with suppress(OverflowError):
            return float(self.at * (cost / self.value) ** (1 / exponent))
        return math.inf


Measure = Literal["seconds", "memory_mib", "stored_bytes", "answer_s"]


class MeasuredCosts(BaseModel):
    """All measurements of one run.

    Args:
        machine: What it ran on, in words, with the number of cores and the memory.
        measured_on: The day, ISO 8601.
        stages: Points by stage, the smallest first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    measured_on: str
    stages: dict[str, tuple[Point, ...]]

    def law(self, stage: str, measure: Measure) -> Law | None:
        """How a stage's cost grows; None where it was not measured, or is nothing."""
        done = [point for point in self.stages.get(stage, ()) if point.outcome == "done"]
        driver = STAGES[stage]
        return Law.through(
            [point.size(driver) for point in done], [float(getattr(point, measure)) for point in done]
        )

    @property
    def largest_events(self) -> int:
        """Events of the largest size at which anything was measured."""
        return max(point.n_events for points in self.stages.values() for point in points)


def read_costs() -> MeasuredCosts:
    """The measurements that came with this package.

    Raises:
        DamagedError: The file is missing or not what the script writes.
    """
    path = files("audotics.distributed") / COSTS_FILE
    try:
        return MeasuredCosts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DamagedError(
            "the measured costs cannot be read",
            where=str(path),
            remedy="Install again, or run scripts/measure_scale.py --write-costs",
        ) from error
