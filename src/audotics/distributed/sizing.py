"""What a service of a given size needs: machines, memory, hours and storage, from measured costs.

Arithmetic only: each figure is a measured cost times a power of the size (`Law`), and every assumption that
is not measured is a field of `Demand` or a constant here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from audotics.distributed.costs import STAGES, Driver, MeasuredCosts, size_of
from audotics.retrieval.names import RETRIEVER_NAMES

GIB = 2.0**30
DAY_S = 86_400.0
HOUR_S = 3_600.0

RETRIEVERS = tuple(stage for stage in STAGES if stage in RETRIEVER_NAMES)
"""Fitted twice in a training: on what is visible, and on everything."""

# Of one core, docs/benchmarks/serving.md.
CACHED_ANSWERS_PER_S = 4_137.0
BARE_ANSWERS_PER_S = 10_248.0
SINGLE_EVENTS_PER_S = 1_651.0
CACHED_ANSWER_BYTES = 4_600.0
WORKER_PRIVATE_GIB = 0.26
REDIS_LOOKUPS_PER_S = 1 / 67e-6
"""One after another, with the network between: what a server waits, so more than Redis works."""


class Demand(BaseModel):
    """How large the service is, and on what it shall run.

    Args:
        listeners: Listeners with events.
        tracks: Tracks of the catalogue.
        events_per_day: Events that arrive on an average day.
        target_rps: Recommendations per second at the busiest time; None derives them from the events.
        days: Days of events that training learns from.
        events_per_answer: Events for each recommendation asked for, where ``target_rps`` is None.
        peak: The busiest time against the average.
        cached: Share of recommendations that the cache answers.
        busy: Share of a core that serving may use, so that queues stay short.
        cores: Of one machine.
        memory_gib: Of one machine.
        window_h: Hours that a training may take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    listeners: int = Field(ge=1, le=10**11)
    tracks: int = Field(ge=1, le=10**11)
    events_per_day: int = Field(ge=1, le=10**14)
    target_rps: float | None = Field(None, gt=0)
    days: int = Field(90, ge=1, le=3_650)
    events_per_answer: float = Field(10.0, gt=0)
    peak: float = Field(3.0, ge=1)
    cached: float = Field(0.5, ge=0, lt=1)
    busy: float = Field(0.6, gt=0, le=1)
    cores: int = Field(16, ge=1)
    memory_gib: float = Field(64.0, gt=0)
    window_h: float = Field(6.0, gt=0)

    @property
    def events(self) -> int:
        """Events that training learns from."""
        return self.events_per_day * self.days

    @property
    def answers_per_s(self) -> float:
        """Recommendations per second at the busiest time."""
        if self.target_rps is not None:
            return self.target_rps
        return self.events_per_day / self.events_per_answer / DAY_S * self.peak

    @property
    def events_per_s(self) -> float:
        """Events per second at the busiest time."""
        return self.events_per_day / DAY_S * self.peak

    def size(self, driver: Driver) -> float:
        """How large this is in what a cost grows with."""
        return size_of(driver, self.events, self.listeners, self.tracks)


@dataclass(frozen=True, slots=True)
class StageNeed:
    """What one stage of training takes.

    Args:
        name: The stage.
        grows_with: What drives its cost.
        times_measured: Its size here over the largest one that was measured.
        exponent: Of its time, beyond what was measured.
        core_hours: Time on one core, once.
        memory_gib: Peak memory of one process.
        fits: Whether that is within a machine's memory and the window.
    """

    name: str
    grows_with: str
    times_measured: float
    exponent: float
    core_hours: float
    memory_gib: float
    fits: bool


@dataclass(frozen=True, slots=True)
class PartNeed:
    """What one part of the running service takes.

    Args:
        name: The part.
        cores: Busy cores at the busiest time, headroom included.
        memory_gib: Of each machine that runs it, or of the store.
        storage_gib: On disk.
        machines: How many.
        note: What the figure rests on.
    """

    name: str
    cores: float
    memory_gib: float
    storage_gib: float
    machines: int
    note: str


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a demand takes.

    Args:
        demand: As it was asked for.
        training: Stages of one training.
        training_core_hours: All of those that fit, each as often as a training does it.
        training_memory_gib: The largest of those that fit.
        events_that_fit: Events up to which every stage that grows with them fits; infinite where none does.
        training_machines: Machines that do it within the window, its stages side by side; 1 needs no cluster.
        batch_core_hours: Lists for every listener, once.
        batch_machines: Machines that make them within the window.
        storage_gib_per_day: Growth of the journal.
        parts: The running service.
    """

    demand: Demand
    training: tuple[StageNeed, ...]
    training_core_hours: float
    training_memory_gib: float
    events_that_fit: float
    training_machines: int
    batch_core_hours: float
    batch_machines: int
    storage_gib_per_day: float
    parts: tuple[PartNeed, ...]


def size_service(demand: Demand, costs: MeasuredCosts) -> Sizing:
    """Work out what a demand takes.

    Args:
        demand: How large the service is.
        costs: What work cost where it was measured.
    """
    stages = tuple(
        need for name in STAGES if name not in _NO_TRAINING for need in [_stage(name, demand, costs)] if need
    )
    fitting = [need for need in stages if need.fits]
    hours = sum(need.core_hours * (2 if need.name in RETRIEVERS else 1) for need in fitting)
    memory = max((need.memory_gib for need in fitting), default=0.0)
    batch_hours = demand.listeners * _cost("batch", "answer_s", demand, costs) / HOUR_S
    per_day = demand.events_per_day * _event_bytes(costs) / GIB
    return Sizing(
        demand=demand,
        training=stages,
        training_core_hours=hours,
        training_memory_gib=memory,
        events_that_fit=_events_that_fit(demand, costs),
        training_machines=_training_machines(demand, hours, memory),
        batch_core_hours=batch_hours,
        batch_machines=_whole(batch_hours / (demand.window_h * demand.cores)),
        storage_gib_per_day=per_day,
        parts=(_servers(demand, costs), _journal(demand, per_day), _redis(demand)),
    )


_NO_TRAINING = ("journal", "version", "batch")
"""Stages that cost while serving."""


def _training_machines(demand: Demand, core_hours: float, memory_gib: float) -> int:
    """As many processes as keep within the window, as many on a machine as its cores and memory take."""
    side_by_side = demand.cores if memory_gib == 0 else min(demand.cores, int(demand.memory_gib / memory_gib))
    return _whole(core_hours / demand.window_h / max(1, side_by_side))


def _whole(machines: float) -> int:
    """Whole machines, at least one; what floating point adds to a whole number is no machine."""
    return max(1, math.ceil(machines - 1e-9))


def _events_that_fit(demand: Demand, costs: MeasuredCosts) -> float:
    ends = [math.inf]
    for name, driver in STAGES.items():
        if driver == "events" and name not in _NO_TRAINING:
            memory, seconds = costs.law(name, "memory_mib"), costs.law(name, "seconds")
            ends += [memory.size_for(demand.memory_gib * 1024)] if memory else []
            ends += [seconds.size_for(demand.window_h * HOUR_S)] if seconds else []
    return min(ends)


def _cost(
    stage: str,
    measure: Literal["seconds", "memory_mib", "stored_bytes", "answer_s"],
    demand: Demand,
    costs: MeasuredCosts,
) -> float:
    law = costs.law(stage, measure)
    return 0.0 if law is None else law(demand.size(STAGES[stage]))


def _stage(name: str, demand: Demand, costs: MeasuredCosts) -> StageNeed | None:
    law = costs.law(name, "seconds")
    if law is None:
        return None
    hours = law(demand.size(STAGES[name])) / HOUR_S
    memory = _cost(name, "memory_mib", demand, costs) / 1024
    return StageNeed(
        name=name,
        grows_with=STAGES[name],
        times_measured=demand.size(STAGES[name]) / law.at,
        exponent=law.beyond,
        core_hours=hours,
        memory_gib=memory,
        fits=memory <= demand.memory_gib and hours <= demand.window_h,
    )


def _event_bytes(costs: MeasuredCosts) -> float:
    """Bytes of the journal for each event, at the largest number that was measured."""
    law = costs.law("journal", "stored_bytes")
    return 0.0 if law is None else law.value / law.at


def _servers(demand: Demand, costs: MeasuredCosts) -> PartNeed:
    computed = demand.answers_per_s * (1 - demand.cached)
    answer_s = _cost("version", "answer_s", demand, costs) + _cost("ranker", "answer_s", demand, costs)
    work = (
        computed * (answer_s + 1 / BARE_ANSWERS_PER_S)
        + demand.answers_per_s * demand.cached / CACHED_ANSWERS_PER_S
        + demand.events_per_s / SINGLE_EVENTS_PER_S
    )
    cores = work / demand.busy
    version = _cost("version", "stored_bytes", demand, costs) / GIB
    return PartNeed(
        name="servers",
        cores=cores,
        # Workers of a machine share the version's files and have the rest for themselves.
        memory_gib=version + demand.cores * WORKER_PRIVATE_GIB,
        storage_gib=version,
        machines=max(2, _whole(cores / demand.cores)),
        note=f"{demand.answers_per_s:,.0f} answers/s at {1e3 * answer_s:,.1f} ms, {demand.cached:.0%} cached",
    )


def _journal(demand: Demand, per_day_gib: float) -> PartNeed:
    return PartNeed(
        name="PostgreSQL",
        cores=demand.events_per_s / SINGLE_EVENTS_PER_S / demand.busy,
        memory_gib=min(demand.memory_gib, max(1.0, per_day_gib)),
        storage_gib=per_day_gib * demand.days,
        machines=1,
        note=f"{demand.events_per_s:,.0f} events/s; memory for the last day, bytes as SQLite needs them",
    )


def _redis(demand: Demand) -> PartNeed:
    a_day = demand.events_per_day / demand.events_per_answer
    kept = min(demand.listeners, a_day) * CACHED_ANSWER_BYTES / GIB
    return PartNeed(
        name="Redis",
        cores=demand.answers_per_s / REDIS_LOOKUPS_PER_S,
        memory_gib=kept,
        storage_gib=0.0,
        machines=_whole(kept / demand.memory_gib),
        note="one answer for each listener of a day",
    )
