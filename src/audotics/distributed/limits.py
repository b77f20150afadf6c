"""Where each algorithm and each embedded store ends, and what takes over there (docs/scale.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audotics.distributed.costs import STAGES, MeasuredCosts, ease_tracks
from audotics.distributed.sizing import SINGLE_EVENTS_PER_S, Demand, Sizing

SHARE_OF_DEADLINE_S = 0.010
"""What one retriever may take of an answer: a tenth of the default deadline."""

BATCHED_EVENTS_PER_S = 26_582.0
"""Durable events in batches of 100 through one server, docs/benchmarks/serving.md."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that does not grow for ever.

    Args:
        name: The algorithm or store.
        counts: What is counted.
        at: How much of that it can take; infinite where the measurements show no end.
        here: How much of it the demand has.
        then: What takes over beyond.
    """

    name: str
    counts: str
    at: float
    here: float
    then: str

    @property
    def reached(self) -> bool:
        """Whether the demand is beyond it."""
        return self.here > self.at


def limits_of(sizing: Sizing, costs: MeasuredCosts) -> tuple[Limit, ...]:
    """Every limit, with where the demand stands.

    Args:
        sizing: What the demand takes.
        costs: What that was worked out from.
    """
    demand = sizing.demand
    return (*_stores(demand, sizing), *_algorithms(demand, costs), *_machines(demand, sizing))


def _stores(demand: Demand, sizing: Sizing) -> Iterator[Limit]:
    servers = sizing.parts[0].machines
    yield Limit(
        "SQLite journal", "single events/s", SINGLE_EVENTS_PER_S, demand.events_per_s, "PostgreSQL by URL"
    )
    yield Limit("SQLite journal", "machines", 1, servers, "PostgreSQL by URL")
    yield Limit("cache in the process", "machines", 1, servers, "Redis by URL, as a second level")
    yield Limit(
        "one PostgreSQL",
        "events/s in batches",
        BATCHED_EVENTS_PER_S,
        demand.events_per_s,
        "a log such as Kafka before it and tables parted by day; not part of Audotics",
    )


def _algorithms(demand: Demand, costs: MeasuredCosts) -> Iterator[Limit]:
    yield Limit(
        "ease",
        "tracks",
        ease_tracks(demand.listeners, demand.tracks),
        demand.tracks,
        "by itself it takes the most popular tracks; raise settings.ease.memory_mb or leave the rest to ials",
    )
    for name, then in (
        ("user-knn", "leave it out: ials and sequence need no comparison with every listener"),
        ("ials", "shorter forms of its vectors (used from 50,000 tracks on), then an index library"),
        ("sequence", "shorter forms of its vectors, then an index library"),
        ("content", "shorter forms of its vectors, then an index library"),
    ):
        law = costs.law(name, "answer_s")
        if law is None:
            continue
        driver = STAGES[name]
        end = law.size_for(SHARE_OF_DEADLINE_S)
        yield Limit(f"{name}, answering", driver, end, demand.size(driver), then)


def _machines(demand: Demand, sizing: Sizing) -> Iterator[Limit]:
    for need in sizing.training:
        then = _INSTEAD.get(need.name, "a sample of the listeners, or larger machines")
        if need.memory_gib > demand.memory_gib:
            yield Limit(f"{need.name}, fitting", "GiB of memory", demand.memory_gib, need.memory_gib, then)
        elif need.core_hours > demand.window_h:
            yield Limit(f"{need.name}, fitting", "hours", demand.window_h, need.core_hours, then)
    yield Limit(
        "training on one machine",
        "events",
        sizing.events_that_fit,
        demand.events,
        "a sample of the listeners: who is not in it is folded in when asking, as newcomers are",
    )
    yield Limit(
        "training on one core",
        "hours",
        demand.window_h,
        sizing.training_core_hours,
        f"{sizing.training_machines} machines under Ray, or fewer days of events (--days)",
    )
    yield Limit(
        "batch on one machine",
        "hours",
        demand.window_h,
        sizing.batch_core_hours / demand.cores,
        f"{sizing.batch_machines} machines, each with its share of the listeners",
    )
    yield Limit(
        "model files on one machine",
        "GiB",
        demand.memory_gib,
        sizing.parts[0].memory_gib,
        "fewer retrievers, TensorFlow Serving for the tables of deep rankers, or larger machines",
    )


_INSTEAD = {
    "import": "audotics import --engine ray",
    "corpus": "fewer days of events, or a sample of the listeners: what is learned from is held in memory",
    "user-knn": "leave it out",
    "item-knn": "fewer days of events; rp3beta and ials know much the same",
    "rp3beta": "fewer days of events; item-knn and ials know much the same",
    "transitions": "fewer days of events or a smaller window; sequence learns the same in bounded steps",
    "ials": "a smaller rank, or a sample of the listeners: tracks need no more, listeners are folded in",
    "ease": "a smaller settings.ease.memory_mb",
}
