"""Rehearsals: experiments on simulated listeners, whose truth is known before anything is analysed.

A method that is to be believed on live traffic is first tried where the answer is known. The listeners
are those of `audotics.simulation`: how often they listen is heavy-tailed, what they finish or skip follows
from how well tracks suit them. A treatment turns some skips into completions (`Population.chances_under`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.schema import TIMESTAMP
from audotics.domain import TimeArray
from audotics.experiments.arms import variant_label
from audotics.experiments.sequential import Array
from audotics.simulation.catalogue import make_catalogue
from audotics.simulation.config import SimulationConfig
from audotics.simulation.listeners import make_listeners
from audotics.simulation.reactions import OUTCOMES, chances, played_share, true_affinity
from audotics.simulation.sampling import draw_rows

PER_ANSWER = 4
"""Tracks that an answer of a rehearsal shows; all of them are started."""

_TRACKS = 400
_LISTENS = 20
_MINUTES = 3.5
_COMPLETE, _SKIP = OUTCOMES.index("complete"), OUTCOMES.index("skip")


@dataclass(frozen=True, slots=True)
class Population:
    """Simulated listeners as an experiment meets them.

    Args:
        sessions_per_day: ``[n_listeners]`` mean number of answers a day.
        chances: ``[n_listeners, len(OUTCOMES)]`` what becomes of a track shown to them.
    """

    sessions_per_day: Array
    chances: Array

    @classmethod
    def simulated(cls, n_listeners: int, seed: int = 0) -> Population:
        """Listeners of the simulator; each one's chances are averaged over tracks of their taste."""
        config = SimulationConfig(n_users=n_listeners, n_tracks=_TRACKS, n_days=60, seed=seed)
        listeners, catalogue = make_listeners(config), make_catalogue(config)
        rng = config.generator("rehearsal")
        who = np.repeat(np.arange(n_listeners), _LISTENS)
        # Half of what is recommended follows the listener's taste, half what others like.
        tracks = rng.integers(0, _TRACKS, len(who))
        suits = true_affinity(
            listeners.taste_before[who],
            listeners.style[who],
            catalogue.genre[tracks],
            catalogue.style[tracks],
        )
        affinity = np.where(rng.random(len(who)) < 0.5, np.sqrt(suits), suits).astype(np.float32)
        table = chances(affinity, np.zeros(len(who), np.bool_))
        return cls(
            sessions_per_day=listeners.sessions_per_day.astype(np.float64),
            chances=table.reshape(n_listeners, _LISTENS, -1).mean(axis=1).astype(np.float64),
        )

    def chances_under(self, uplift: float) -> Array:
        """Chances where a share of the skips (negative: of the completions) ends the other way."""
        changed = self.chances.copy()
        source, target = (_SKIP, _COMPLETE) if uplift > 0 else (_COMPLETE, _SKIP)
        moved = abs(uplift) * changed[:, source]
        changed[:, source] -= moved
        changed[:, target] += moved
        return changed

    def true_rate(self, outcome: str, uplift: float = 0.0) -> float:
        """Share of the tracks started that end so, over all listeners by how much they listen."""
        rates = self.chances_under(uplift)[:, OUTCOMES.index(outcome)]
        return float(rates @ self.sessions_per_day / self.sessions_per_day.sum())


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsed experiment logged.

    Args:
        outcomes: Columns of `audotics.journal.outcomes.OUTCOMES`.
        events: user_id, track_id, timestamp, event, ms_played; those of the past included.
        arm_of: ``[n_listeners]`` number of each listener's arm; ids are ``u0``, ``u1``, ...
    """

    outcomes: pl.DataFrame
    events: pl.DataFrame
    arm_of: TimeArray


def rehearse(
    population: Population,
    experiment: str,
    arms: Mapping[str, float],
    *,
    uplifts: Mapping[str, float] | None = None,
    started_at: datetime = datetime(2025, 3, 3, tzinfo=UTC),
    n_days: int = 14,
    past_days: int = 14,
    seed: int = 0,
) -> Rehearsal:
    """Run an experiment on simulated listeners.

    Args:
        population: Who takes part.
        experiment: Its name.
        arms: Name -> share of listeners dealt, in any unit.
        uplifts: Name -> share of skips that become completions; arms that are not named change nothing.
        started_at: Where day 0 begins.
        n_days: Days of the experiment.
        past_days: Days of listening before it.
        seed: Decides everything random.
    """
    rng = np.random.default_rng(seed)
    n = len(population.sessions_per_day)
    shares = np.array(list(arms.values()), np.float64)
    arm_of = rng.choice(len(arms), n, p=shares / shares.sum())
    n_answers = rng.poisson(population.sessions_per_day, (past_days + n_days, n))
    day, user = (np.repeat(part.ravel(), n_answers.ravel()) for part in np.indices(n_answers.shape))
    at_s = (day - past_days) * 86_400 + rng.integers(0, 86_000, len(day))
    row = np.repeat(np.arange(len(day)), PER_ANSWER)
    outcome = np.empty(len(row), np.int64)
    for place, name in enumerate(arms):
        in_arm = arm_of[user[row]] == place
        began = day[row] >= past_days
        for mask, uplift in ((in_arm & ~began, 0.0), (in_arm & began, (uplifts or {}).get(name, 0.0))):
            outcome[mask] = draw_rows(population.chances_under(uplift), user[row[mask]], rng)
    frame = _rows(experiment, list(arms), arm_of, user, at_s, row, outcome, started_at, rng)
    return Rehearsal(_outcomes(frame.filter(pl.Series(day[row] >= past_days))), _events(frame), arm_of)


def _rows(
    experiment: str,
    arms: list[str],
    arm_of: TimeArray,
    user: TimeArray,
    at_s: TimeArray,
    row: TimeArray,
    outcome: TimeArray,
    started_at: datetime,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """One row per track shown, with its event; the columns of both tables."""
    n = len(row)
    labels = pl.Series([variant_label([(experiment, arm)]) for arm in arms])
    ms_played: npt.NDArray[np.int64] = (played_share(outcome, rng) * _MINUTES * 60_000).astype(np.int64)
    return pl.DataFrame(
        {
            "answer": row,
            "user": user[row],
            "at": pl.Series(at_s[row]) * timedelta(seconds=1) + started_at,
            "track": rng.integers(0, _TRACKS, n),
            "position": np.tile(np.arange(1, PER_ANSWER + 1), n // PER_ANSWER),
            "variant": labels.gather(arm_of[user[row]]),
            "event": pl.Series(OUTCOMES).gather(outcome),
            "ms_played": ms_played,
        }
    ).with_columns(
        pl.col("at").cast(TIMESTAMP),
        request_id=pl.format("r{}", "answer"),
        user_id=pl.format("u{}", "user"),
        track_id=pl.format("t{}", "track"),
    )


def _outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    event = pl.col("event")
    return frame.select(
        "request_id",
        "user_id",
        "at",
        "track_id",
        pl.col("position").cast(pl.Int32),
        propensity=pl.lit(1.0, pl.Float32),
        model_version=pl.lit("rehearsal"),
        variant=pl.col("variant"),
        rung=pl.lit(""),
        score=pl.lit(0.0, pl.Float32),
        played=event.is_in(("play", "complete", "like", "add_to_playlist")),
        completed=event == "complete",
        skipped=event == "skip",
        liked=event.is_in(("like", "add_to_playlist")),
        ms_played=pl.col("ms_played"),
    )


def _events(frame: pl.DataFrame) -> pl.DataFrame:
    later = pl.col("at") + timedelta(seconds=30)
    return frame.select("user_id", "track_id", later.alias("timestamp"), "event", "ms_played")
