"""Let poisoned and clean days through the gates, and print what each says as a Markdown table.

    .venv/bin/python scripts/measure_gates.py [--users 2000] [--tracks 4000] [--seeds 3] [--without-checks]

A simulated service trains a champion, then days arrive: clean ones, and the same with one fault planted. Data
checks refuse a fault before anything learns from it. With --without-checks a challenger is trained on every
poisoned day all the same and judged on the next day, which is clean: what the other gates would have caught.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.lifecycle import data_checks, evidence, gates
from audotics.registry import Registry
from audotics.simulation import SimulationConfig, poison, simulate_tables
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.pipeline import TrainingPipeline
from audotics.training.publishing import publish

QUICK = TrainConfig(
    retrievers=("item-knn", "content", "ials", "popularity"), rankers=("single", "linear"), tune_trials=0
)
N_DAYS, N_NEW = 30, 3

Change = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Fault:
    """What is planted: a change of the events or of the tracks table."""

    name: str
    events: Change | None = None
    tracks: Change | None = None


@dataclass(frozen=True)
class Service:
    """A simulated log; the champion learned from what lies before ``new_from``."""

    events: pl.DataFrame
    tracks: pl.DataFrame
    users: pl.DataFrame
    new_from: datetime

    def dataset(self, folder: Path, until: datetime, fault: Fault | None = None) -> Dataset:
        """All events before a moment, with a fault."""
        events = self.events.filter(pl.col("timestamp") < until)
        tracks = self.tracks
        if fault is not None:
            events = events if fault.events is None else fault.events(events)
            tracks = tracks if fault.tracks is None else fault.tracks(tracks)
        with DatasetWriter(folder, source="simulated") as writer:
            writer.add_events(events)
            writer.set_table("tracks", tracks)
            writer.set_table("users", self.users)
            return writer.commit()


def faults(day: datetime) -> Iterator[Fault]:
    """Every fault, planted into one day."""
    noon = day + timedelta(hours=12)
    yield Fault("bots: 3 accounts play all day", partial(poison.busy_bots, day=day))
    yield Fault("bots: 40 accounts play one list", partial(poison.copied_listeners, day=day))
    yield Fault("bots: one track pushed to 40 %", partial(poison.pushed_track, day=day))
    for kind in ("null", "nan", "constant", "scaled", "shuffled", "missing"):
        yield Fault(
            f"feature column: {kind}",
            tracks=partial(poison.broken_column, column="feature_tempo", fault=kind),
        )
    yield Fault("truncated log: nothing after noon", partial(poison.truncated, after=noon))
    yield Fault(
        "truncated log: four hours lost",
        partial(poison.truncated, after=noon + timedelta(hours=5), until=noon + timedelta(hours=9)),
    )
    yield Fault("each event sent twice", partial(poison.repeated, day=day))
    yield Fault("half of the tracks unknown", partial(poison.unknown_tracks, day=day))
    yield Fault("clock a century ahead", partial(poison.future_events, day=day))
    yield Fault(
        "device column empty", partial(poison.without_values, day=day - timedelta(days=1), column="device")
    )


def main() -> None:
    """Simulate, check, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--tracks", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=3, help="services with clean days")
    parser.add_argument("--without-checks", action="store_true", help="also train on poisoned days")
    options = parser.parse_args()
    print("| day | refused | by | what it says |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            of_clean_days(Path(folder) / str(seed), service(options.users, options.tracks, seed), seed)
        of_poisoned_days(
            Path(folder) / "poisoned",
            service(options.users, options.tracks, 0),
            without_checks=options.without_checks,
        )


def service(n_users: int, n_tracks: int, seed: int) -> Service:
    """Simulate one."""
    config = SimulationConfig(n_users=n_users, n_tracks=n_tracks, n_days=N_DAYS, seed=seed)
    tables = simulate_tables(config)
    new_from = config.started_on + timedelta(days=N_DAYS - N_NEW)
    return Service(tables.events, tables.tracks, tables.users, new_from)


def of_clean_days(folder: Path, simulated: Service, seed: int) -> None:
    """A champion, two clean days to learn from, the third judges."""
    base = simulated.dataset(folder / "base", simulated.new_from)
    registry = Registry(folder / "models")
    champion = published(registry, base)
    known = simulated.dataset(folder / "known", simulated.new_from + timedelta(days=N_NEW - 1))
    whole = simulated.dataset(folder / "whole", simulated.new_from + timedelta(days=N_NEW))
    found = data_checks.check(known, base)
    if data_checks.refusals(found):
        row(f"clean, seed {seed}", found[0].name, found[0].what)
        return
    row(f"clean, seed {seed}", *judged(registry, champion, published(registry, known), whole))


def of_poisoned_days(folder: Path, simulated: Service, *, without_checks: bool) -> None:
    """The same with one fault after another in the second new day."""
    base = simulated.dataset(folder / "base", simulated.new_from)
    day = simulated.new_from + timedelta(days=1)
    registry = Registry(folder / "models")
    champion = published(registry, base) if without_checks else ""
    whole = simulated.dataset(folder / "whole", simulated.new_from + timedelta(days=N_NEW))
    for number, fault in enumerate(faults(day)):
        poisoned = simulated.dataset(folder / str(number), day + timedelta(days=1), fault)
        started = time.perf_counter()
        found = data_checks.refusals(data_checks.check(poisoned, base))
        seconds = time.perf_counter() - started
        by = ", ".join(f"data: {finding.name}" for finding in found)
        row(fault.name, by, f"{'; '.join(finding.what for finding in found)} ({seconds:.1f} s)")
        if without_checks:
            row("- had it been learned from", *learned(registry, champion, poisoned, whole, day))


def learned(
    registry: Registry, champion: str, poisoned: Dataset, whole: Dataset, day: datetime
) -> tuple[str, str]:
    """What the other gates say of a challenger that was trained on a poisoned day."""
    try:
        version = published(registry, poisoned)
        return judged(registry, champion, version, whole, held_out_from=day + timedelta(days=1, hours=1))
    except Exception as error:
        return f"{type(error).__name__}", str(error)[:160]


def published(registry: Registry, dataset: Dataset) -> str:
    """Train and publish."""
    trained = TrainingPipeline(QUICK).train(dataset)
    return publish(trained, dataset, registry, "simulated", Progress())


def judged(
    registry: Registry,
    champion: str,
    challenger: str,
    whole: Dataset,
    held_out_from: datetime | None = None,
) -> tuple[str, str]:
    """Gates that refuse, and their reasons."""
    measured = evidence.gather(registry, champion, challenger, whole, held_out_from=held_out_from)
    report = gates.judge(measured)
    refused = dict.fromkeys(line.gate for line in report.rows if not line.passed)
    return ", ".join(refused), "; ".join(report.reasons)


def row(day: str, by: str, what: str) -> None:
    """One line of the table."""
    print(f"| {day} | {'yes' if by else 'no'} | {by or '-'} | {what} |", flush=True)


if __name__ == "__main__":
    main()
