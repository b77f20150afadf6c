"""A small service that goes on after its first version was trained: days of listening, with times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
from sqlalchemy import Engine

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.journal.events import EventJournal, JournalEvent
from audotics.lifecycle.limits import DataLimits, GateLimits
from audotics.registry.store import Registry
from audotics.simulation.config import SimulationConfig
from audotics.simulation.service import SimulatedTables, simulate_tables
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.pipeline import TrainingPipeline
from audotics.training.publishing import publish

N_DAYS = 24
STARTED_ON = datetime(2026, 3, 2, tzinfo=UTC)

QUICK = TrainConfig(
    retrievers=("popularity", "item-knn"),
    rankers=("single", "mean"),
    tune_trials=1,
    tune_seconds=5,
    per_retriever=30,
)

LENIENT = GateLimits(
    least_listeners=5,
    quality_margin=0.95,
    coverage_factor=0,
    new_track_factor=0,
    latency_factor=100,
    latency_slack_ms=1000,
    most_latency_ms=10_000,
    data=DataLimits(gap_share=0, unknown_share=1, day_drop=1, track_factor=100),
)
"""Seventy listeners are too few for gates and checks that are meant for thousands."""


@cache
def aging_world() -> SimulatedTables:
    """Everything that happens there."""
    return simulate_tables(
        SimulationConfig(
            n_users=70, n_tracks=150, n_days=N_DAYS, n_events=12_000, started_on=STARTED_ON, seed=5
        )
    )


def day(number: int) -> datetime:
    """When a day begins."""
    return STARTED_ON + timedelta(days=number)


def events_of(first: int, last: int) -> pl.DataFrame:
    """Events of the days ``first <= day < last``."""
    time = pl.col("timestamp")
    return aging_world().events.filter((time >= day(first)) & (time < day(last)))


def write_days(folder: Path, first: int, last: int, **tables: pl.DataFrame) -> Dataset:
    """A Dataset of some days, with the tracks released by then."""
    tracks = aging_world().tracks.filter(pl.col("released") < day(last).date())
    with DatasetWriter(folder, source="aging") as writer:
        writer.add_events(events_of(first, last))
        writer.set_table("tracks", tables.get("tracks", tracks))
        writer.set_table("users", tables.get("users", aging_world().users))
        return writer.commit()


def publish_first(dataset: Dataset, models: Path, config: TrainConfig = QUICK) -> str:
    """Train the first champion on it."""
    trained = TrainingPipeline(config).train(dataset)
    return publish(trained, dataset, Registry(models), "first", Progress())


def journal_events(events: pl.DataFrame) -> list[JournalEvent]:
    """Events as a service would post them; the same event has the same id."""
    rows: Iterable[dict[str, object]] = events.with_columns(
        at_us=pl.col("timestamp").dt.epoch("us")
    ).iter_rows(named=True)
    kept = ("user_id", "track_id", "at_us", "event", "ms_played", "session_id", "device", "country")
    return [
        JournalEvent(
            event_id=f"{row['user_id']}-{row['track_id']}-{row['at_us']}-{row['event']}",
            **{name: row[name] for name in kept},  # type: ignore[arg-type]
        )
        for row in rows
    ]


def post_days(engine: Engine, first: int, last: int, again: int = 0) -> int:
    """Put what happened on some days into the journal; its last place.

    Args:
        engine: Of the journal.
        first: First day.
        last: The day after the last one.
        again: How often those days were lived before: eight days later each time others live them, since
            nobody would hear anything new on a day that they had lived already.
    """
    journal = EventJournal(engine)
    users = aging_world().users["user_id"]
    others = dict(zip(users, [*users[again:], *users[:again]], strict=True))
    events = events_of(first, last).with_columns(
        pl.col("timestamp") + timedelta(days=8 * again), pl.col("user_id").replace_strict(others)
    )
    journal.append(journal_events(events))
    return journal.last_seq()
