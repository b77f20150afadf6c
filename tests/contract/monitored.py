"""A simulated service with a version trained on its first weeks, and a journal of what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import Engine

from audotics.data.corpus import POSITIVE_EVENTS, build_corpus
from audotics.data.listening import Known
from audotics.data.listening_profile import profile_events
from audotics.domain import Exposure
from audotics.journal import EventJournal, ExposureLog, JournalEvent
from audotics.monitoring.reference import Reference
from audotics.recommender import bundle
from audotics.registry import Registry
from audotics.registry.manifest import DatasetRecord, VersionRecord
from audotics.registry.names import CHAMPION
from audotics.simulation import SimulationConfig
from audotics.simulation.service import simulate_tables
from contract.small_version import recommender_over

WEEKS_BEFORE = 4
N_SHOWN = 8


@dataclass(frozen=True)
class World:
    """Listening before and after a training.

    Args:
        before: Four weeks of events.
        after: The events that follow.
        tracks: The catalogue.
        users: The listeners.
        cut: When the version was trained.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    tracks: pl.DataFrame
    users: pl.DataFrame
    cut: datetime

    def reference(self, version: str = "v1") -> Reference:
        """What a version trained at the cut would keep."""
        time = self.before["timestamp"]
        played = self.before.filter(pl.col("event").is_in(POSITIVE_EVENTS))
        counts = played.group_by("track_id").agg(n=pl.col("user_id").n_unique())
        return Reference(
            version,
            profile_events(self.before.lazy(), self.tracks, time.min(), time.max()),
            self.tracks,
            Known.of(self.before["user_id"], counts),
        )

    def publish(self, models: Path, *, profile: bool = True) -> str:
        """Publish a small version that knows these listeners and tracks, and make it the champion."""
        registry = Registry(models)
        recommender = recommender_over(build_corpus(self.before, self.tracks, self.users))
        with registry.stage() as folder:
            bundle.save(recommender, folder)
            if profile:
                found = self.reference().profile
                assert found is not None
                found.write(folder)
            version = registry.publish(
                folder,
                VersionRecord(
                    name="small",
                    code_version="test",
                    config={},
                    dataset=DatasetRecord(fingerprint="simulated", ends_at=self.cut),
                    vocabulary_hash=bundle.vocabulary_hash(recommender.users, recommender.tracks),
                ),
            )
        registry.set_alias(CHAMPION, version)
        return version


def simulated(seed: int = 0, n_users: int = 300, n_days: int = 7, ends_at: datetime | None = None) -> World:
    """A world in which nobody's taste drifts; what follows the training lasts ``n_days``.

    Args:
        seed: Decides everything random.
        n_users: Listeners.
        n_days: Days after the training.
        ends_at: A midnight in UTC; None is a fixed one.
    """
    ends_at = ends_at or datetime(2026, 5, 11, tzinfo=UTC)
    length = timedelta(days=n_days)
    made = simulate_tables(
        SimulationConfig(
            n_users=n_users,
            n_tracks=1500,
            n_days=7 * WEEKS_BEFORE + n_days,
            seed=seed,
            started_on=ends_at - timedelta(weeks=WEEKS_BEFORE) - length,
            abrupt_drift_share=0,
            gradual_drift_share=0,
        )
    )
    cut = ends_at - length
    earlier = pl.col("timestamp") < cut
    return World(made.events.filter(earlier), made.events.filter(~earlier), made.tracks, made.users, cut)


def answers_before(
    events: pl.DataFrame,
    version: str,
    *,
    seed: int = 0,
    holdout_share: float = 0.0,
    hit_share: float = 0.4,
    bad_since: datetime | None = None,
) -> list[Exposure]:
    """Answers a minute before each session: some tracks that the listener then played, others at random.

    Args:
        events: What listeners do.
        version: Who answered.
        seed: Decides everything random.
        holdout_share: Share of the listeners whose answers miss more often, in the variant ``holdout``.
        hit_share: Chance that a track played in the session is in the answer.
        bad_since: From then on answers hit as seldom as those of the holdout.
    """
    rng = np.random.default_rng(seed)
    sessions = events.group_by("user_id", "session_id").agg(
        pl.col("timestamp").min(), pl.col("track_id").unique(maintain_order=True)
    )
    catalogue = events["track_id"].unique().sort().to_numpy()
    made = []
    for number, (user, _, at, played) in enumerate(sessions.sort("timestamp", "user_id").iter_rows()):
        held = hash_share(user) < holdout_share
        worse = held or (bad_since is not None and at >= bad_since)
        hits = [track for track in played if rng.random() < (hit_share / 4 if worse else hit_share)][:N_SHOWN]
        misses = [one for one in rng.choice(catalogue, 3 * N_SHOWN, replace=False) if one not in played]
        shown = [*hits, *misses][:N_SHOWN]
        # What is played has the higher scores, though not always.
        scores = np.array([rng.normal(1.0 if track in hits else 0.0) for track in shown], np.float32)
        order = np.argsort(-scores)
        made.append(
            Exposure(
                request_id=f"r{seed}-{number}",
                user_id=user,
                at=at - timedelta(minutes=1),
                track_ids=tuple(shown[place] for place in order),
                scores=scores[order],
                propensities=np.ones(len(shown), np.float32),
                model_version=version,
                variant="holdout" if held else "",
            )
        )
    return made


def hash_share(user_id: str) -> float:
    """A fixed place of the listener between 0 and 1."""
    digits = int(user_id.strip("abcdefghijklmnopqrstuvwxyz"))
    return (digits * 2_654_435_761 % 2**32) / 2**32


def fill(engine: Engine, events: pl.DataFrame, answers: list[Exposure], rung: str = "personalised") -> None:
    """Put them into a journal as a server would."""
    columns = ("user_id", "track_id", "event", "ms_played", "session_id", "device", "country")
    times = events["timestamp"].dt.epoch("us").to_list()
    rows = zip(events.select(columns).iter_rows(), times, strict=True)
    journal = EventJournal(engine)
    batch = [
        JournalEvent(f"e{at}-{row[0]}-{number}", row[0], row[1], at, *row[2:])
        for number, (row, at) in enumerate(rows)
    ]
    for start in range(0, len(batch), 5_000):
        journal.append(batch[start : start + 5_000])
    log = ExposureLog(engine, max_pending=len(answers) + 1)
    for answer in answers:
        log.record(answer, rung)
    log.close()
