"""The simulated service at work: day after day of listening, streamed in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from audotics.data.schema import EVENTS, TIMESTAMP
from audotics.data.writer import DatasetWriter
from audotics.domain import FloatArray, IndexArray, TimeArray
from audotics.simulation.catalogue import make_catalogue
from audotics.simulation.choices import KEEP_FAVOURITE, Choice, Chooser
from audotics.simulation.config import SimulationConfig
from audotics.simulation.listeners import COUNTRIES, make_listeners, taste_at
from audotics.simulation.reactions import OUTCOMES, chances, played_share, true_affinity
from audotics.simulation.sampling import draw_rows
from audotics.simulation.sessions import (
    DEVICES,
    SECOND,
    Sessions,
    draw_sessions,
    session_scale,
    without_overlap,
)
from audotics.simulation.truth import TRUTH_NAME, Truth
from audotics.telemetry.progress import Progress

BLOCK_EVENTS = 250_000
"""About how many listens are generated at once, at most: what bounds memory."""

_LONGEST_PAUSE = 3 * SECOND


@dataclass(frozen=True, slots=True)
class _Listens:
    """A block of listens: what played, what became of it, when.

    Args:
        track: ``[n_listens]`` track number.
        outcome: ``[n_listens]`` place in `OUTCOMES`.
        ms_played: ``[n_listens]``.
        at: ``[n_listens]`` microseconds after the start of the log.
    """

    track: TimeArray
    outcome: TimeArray
    ms_played: TimeArray
    at: TimeArray


class MusicService:
    """Artists, tracks and listeners of one configuration, and the log of their listening.

    Args:
        config: The simulation's settings.
    """

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.catalogue = make_catalogue(config)
        self.listeners = make_listeners(config)
        self.truth = Truth.of(self.catalogue, self.listeners)

    def blocks(self) -> Iterator[pl.DataFrame]:
        """The log from its beginning; a block is one day's events (of some listeners, if many), by time."""
        chooser = Chooser(self.catalogue, self.listeners)
        busy_until = np.zeros(self.config.n_users, np.int64)
        scale = session_scale(self.listeners)
        per_day = self.config.expected_events / self.config.n_days
        n_parts = min(self.config.n_users, max(1, round(per_day / BLOCK_EVENTS)))
        bounds = np.linspace(0, self.config.n_users, n_parts + 1).astype(int).tolist()
        for day in range(self.config.n_days):
            chooser.charts.open_day(day)
            for part, (first, last) in enumerate(pairwise(bounds)):
                rng = self.config.generator("listening", day, part)
                sessions = draw_sessions(self.listeners, first, last, day, scale, rng)
                listens = self._listen(sessions, chooser, busy_until, day, rng)
                yield self._frame(sessions, listens, f"s{day}-{part}-")

    def _listen(
        self,
        sessions: Sessions,
        chooser: Chooser,
        busy_until: TimeArray,
        day: int,
        rng: np.random.Generator,
    ) -> _Listens:
        taste = taste_at(
            self.listeners.taste_before[sessions.user],
            self.listeners.taste_after[sessions.user],
            self.listeners.drift_day[sessions.user],
            float(day),
            self.config.n_days,
        )
        choice = chooser.choose(sessions, taste, day, rng)
        user = np.repeat(sessions.user, sessions.length)
        outcome = self._react(np.repeat(taste, sessions.length, axis=0), user, choice, rng)
        loved = np.isin(outcome, (OUTCOMES.index("like"), OUTCOMES.index("add_to_playlist")))
        finished = loved | (outcome == OUTCOMES.index("complete"))
        kept = loved | (finished & (rng.random(len(user)) < KEEP_FAVOURITE))
        chooser.favourites.learn(user[kept], choice.track[kept])
        chooser.charts.count_plays(choice.track[finished])
        duration_ms = self.catalogue.duration_ms[choice.track]
        ms_played = (played_share(outcome, rng) * duration_ms).astype(np.int64)
        return _Listens(choice.track, outcome, ms_played, _times(sessions, ms_played, busy_until, rng))

    def _react(
        self, taste: FloatArray, user: TimeArray, choice: Choice, rng: np.random.Generator
    ) -> TimeArray:
        """What becomes of each listen ``[n_listens]``, place in `OUTCOMES`."""
        affinity = true_affinity(
            taste,
            self.listeners.style[user],
            self.catalogue.genre[choice.track],
            self.catalogue.style[choice.track],
        )
        return draw_rows(chances(affinity, choice.favourite), np.arange(len(user)), rng)

    def _frame(self, sessions: Sessions, listens: _Listens, session_prefix: str) -> pl.DataFrame:
        order = np.argsort(listens.at, kind="stable")
        session = np.repeat(np.arange(len(sessions.user)), sessions.length)[order]
        user = sessions.user[session]
        epoch = int(self.config.started_on.timestamp()) * SECOND
        return pl.DataFrame(
            {
                "user_id": self.listeners.user_ids.gather(user),
                "track_id": self.catalogue.track_ids.gather(listens.track[order]),
                "timestamp": pl.Series(listens.at[order] + epoch).cast(TIMESTAMP),
                "event": _words(OUTCOMES, listens.outcome[order]),
                "plays": np.ones(len(order), np.float32),
                "position": pl.Series([None], dtype=pl.Int32).new_from_index(0, len(order)),
                "ms_played": listens.ms_played[order],
                "session_id": pl.select(
                    pl.lit(session_prefix) + pl.int_range(len(sessions.user)).cast(pl.String)
                )
                .to_series()
                .gather(session),
                "device": _words(DEVICES, sessions.device[session]),
                "country": _words(COUNTRIES, self.listeners.country[user]),
            },
            schema=EVENTS,
        )


class SimulatedTables(NamedTuple):
    """A whole simulation in memory."""

    events: pl.DataFrame
    tracks: pl.DataFrame
    users: pl.DataFrame
    truth: Truth


def simulate_tables(config: SimulationConfig) -> SimulatedTables:
    """Simulate without a Dataset, for tests and notebooks: everything in memory, events by time."""
    service = MusicService(config)
    events = pl.concat(service.blocks()).sort("timestamp", maintain_order=True)
    return SimulatedTables(events, service.catalogue.table(), service.listeners.table(), service.truth)


def simulate(config: SimulationConfig, out: Path, progress: Progress | None = None) -> Truth:
    """Simulate a service, write its Dataset, and its truth beside it (`Truth.folder`).

    Events stream to the folder, day by day, so memory does not grow with their number.

    Args:
        config: The simulation's settings.
        out: Folder of the Dataset.
        progress: Who watches.

    Returns:
        The truth, as `Truth.load` would read it.

    Raises:
        BadInputError: ``out`` exists and is not a Dataset.
    """
    progress = progress or Progress()
    with DatasetWriter(out, source=f"simulation, seed {config.seed}") as writer:
        with progress.stage("artists, tracks and listeners"):
            service = MusicService(config)
            writer.set_table("tracks", service.catalogue.table())
            writer.set_table("users", service.listeners.table())
        with progress.stage("listening", total=config.expected_events) as stage:
            for events in _parts(service.blocks()):
                writer.add_events(events)
                stage.advance(events.height)
        folder = Truth.folder(out)
        # A crash from here on leaves a dataset without truth, never one with the truth of another.
        (folder / TRUTH_NAME).unlink(missing_ok=True)
        writer.commit()
    service.truth.save(folder)
    return service.truth


def _parts(blocks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Small days joined: a file for each day of a quiet service would cost more than its events."""
    held: list[pl.DataFrame] = []
    for block in blocks:
        held.append(block)
        if sum(frame.height for frame in held) >= BLOCK_EVENTS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def _times(
    sessions: Sessions, ms_played: TimeArray, busy_until: TimeArray, rng: np.random.Generator
) -> TimeArray:
    """When each listen began ``[n_listens]``, microseconds after the start of the log."""
    taken = ms_played * 1000 + rng.integers(0, _LONGEST_PAUSE, len(ms_played))
    begins = np.cumsum(taken) - taken
    first = np.cumsum(sessions.length) - sessions.length
    duration = np.add.reduceat(taken, first) if len(first) else taken
    starts = without_overlap(sessions, duration, busy_until)
    times: TimeArray = begins + np.repeat(starts - begins[first], sessions.length)
    return times


def _words(words: tuple[str, ...], numbers: TimeArray | IndexArray) -> pl.Series:
    return pl.Series(words).gather(numbers)
