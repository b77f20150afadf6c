"""Everything that one server process holds, opened and closed together."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from audotics.domain import Query
from audotics.errors import UnavailableError
from audotics.journal.catalogue import TrackJournal
from audotics.journal.committer import GroupCommitter
from audotics.journal.engine import open_engine, prepare_tables
from audotics.journal.events import EventJournal
from audotics.journal.exposures import ExposureLog
from audotics.ranking.runtimes.choice import ScorerChoice
from audotics.registry import Registry
from audotics.registry.names import CHAMPION, published_at
from audotics.resilience import BreakerState
from audotics.serving.answering import Answering
from audotics.serving.cache import CacheManager
from audotics.serving.encoding import forget_bodies
from audotics.serving.following import ModelFollower
from audotics.serving.guardrails import Guardrails
from audotics.serving.guardrails.counters import GuardrailCounters
from audotics.serving.ingestion import Ingestion
from audotics.serving.live_tracks import LiveTracks
from audotics.serving.metrics import MULTIPROCESS, Metrics
from audotics.serving.monitor_metrics import MonitorMetrics, shared_folder
from audotics.serving.monitoring import MonitorJob
from audotics.serving.profiles import Profiles
from audotics.serving.served import Served
from audotics.serving.variants import Variants, loader
from audotics.settings import Settings
from audotics.slate import SlateConfig, read_rules

FOLLOW_S = 0.02
"""How often the journal is asked for what other processes accepted: their events count here after that."""

RETRY_S = 1.0
"""Pause before a journal that did not answer is asked again."""

FOLLOW_ROWS = 10_000
"""Events read at once; fewer are the end of the journal."""

LAG_S = 0.1
"""How often the event loop is looked at."""

STATE_S = 1.0
"""How often a worker notes how it stands."""

_log = logging.getLogger("audotics.serving")


class Service:
    """The parts of a server, wired from the settings.

    Args:
        settings: Deployment settings.
        alias: Whose version serves.

    Raises:
        BadInputError: A setting cannot be used, or there is no model yet.
        DamagedError: No version is as it was published.
    """

    def __init__(self, settings: Settings, alias: str = CHAMPION) -> None:
        self.settings = settings
        self.metrics = Metrics()
        shared = shared_folder(MULTIPROCESS)
        monitored = MonitorMetrics(self.metrics.registry, shared)
        self.metrics.add(monitored)
        self._monitoring = MonitorJob(settings, alias, monitored, shared)
        rules = read_rules(settings.rules) if settings.rules is not None else SlateConfig()
        self._engine = engine = open_engine(settings.database_url.get_secret_value(), prepare=False)
        self.journal = EventJournal(engine)
        self.committer = GroupCommitter(self.journal)
        self.exposures = ExposureLog(engine)
        self.profiles = Profiles(self.journal)
        self.cache = _cache(settings)
        scorer = ScorerChoice.parse(settings.scorer)
        runtimes = partial(scorer.runtime, deadline_s=settings.scorer_deadline_ms / 1000)
        self.live_tracks = LiveTracks(TrackJournal(engine))
        self.models = ModelFollower(
            Path(settings.models), alias, rules, self._swapped, runtimes, self.live_tracks.over
        )
        self.live_tracks.on_change = self.models.wake
        self.guardrails = Guardrails(
            self.models,
            Registry(settings.models),
            alias,
            GuardrailCounters(self.metrics.registry),
            lambda query, after: self.profiles.reactions(query.listeners, after),
            mode=settings.guardrails,
            probation_s=settings.probation_s,
        )
        self.guardrails.on_hang = self._compute_anew
        self.variants = Variants(
            engine,
            self.models,
            loader(Path(settings.models), rules, runtimes),
            self.live_tracks.over,
            self.metrics.registry,
        )
        self.ingestion = Ingestion(self.committer, self.profiles, self.metrics)
        self.answering = Answering(
            self.models,
            self.profiles,
            self.cache,
            self.metrics,
            deadline_s=settings.deadline_ms / 1000,
            in_flight=settings.in_flight,
            recommend=self.guardrails.recommend,
            stand_in=self.guardrails.stand_in,
            variants=self.variants,
        )
        self.journal_trouble = ""
        self._stopped = threading.Event()
        self._follower = threading.Thread(target=self._follow_journal, name="journal-follower", daemon=True)
        self._caught_up_at = time.monotonic()
        self._watch: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Begin to follow model and journal; call on the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._catch_up)
        await asyncio.to_thread(self.variants.follow)
        # From here on: what was erased earlier has no answers in the cache of a server that starts.
        self.profiles.on_erased = self._forget_cached
        # Events of before were about answers of before.
        self.profiles.on_recorded = self.guardrails.reacted
        self._follower.start()
        self.guardrails.start()
        self.models.start()
        self.variants.start()
        self._monitoring.start()
        self._watch = asyncio.create_task(self._watch_lag())

    async def close(self) -> None:
        """Commit what was accepted, then let go of everything."""
        self._stopped.set()
        if self._watch is not None:
            self._watch.cancel()
        await self._monitoring.stop()
        self.models.stop()
        self.variants.stop()
        self.guardrails.stop()
        self.answering.close()
        await asyncio.to_thread(self.committer.close)
        await asyncio.to_thread(self.exposures.close)
        await self.cache.close()
        if self._follower.is_alive():
            await asyncio.to_thread(self._follower.join, 5)

    @property
    def redis_is_away(self) -> bool:
        """Whether the cache's second level is left alone at the moment."""
        breaker = self.cache.breaker
        return breaker is not None and breaker.state is not BreakerState.CLOSED

    async def erase(self, user_id: str) -> int:
        """Forget a listener: journal, profile and cache; versions stop using what they know of them.

        Raises:
            UnavailableError: The journal cannot do it now; nothing was erased.
        """
        n = await asyncio.to_thread(self.journal.erase, user_id)
        await asyncio.to_thread(self.variants.forget, user_id)
        self.profiles.forget([user_id])
        self.guardrails.forget(user_id)
        forget_bodies()
        await self.cache.forget(user_id)
        return n

    def _swapped(self, served: Served) -> None:
        self.metrics.swaps.inc()
        if self._loop is not None and self.settings.warm_listeners:
            asyncio.run_coroutine_threadsafe(self._warm(), self._loop)

    async def _warm(self) -> None:
        """Answer the most active listeners ahead, one after another, as nobody waits for them."""
        for user_id in self.profiles.most_active(self.settings.warm_listeners):
            await self.answering.answer(Query(user_id=user_id))

    def _forget_cached(self, user_id: str) -> None:
        """Drop a listener's answers on the loop, whichever thread learned of the erasure."""
        self.guardrails.forget(user_id)
        forget_bodies()
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self.cache.forget(user_id), self._loop)

    def _compute_anew(self) -> None:
        """Leave the thread that hangs to itself, on the loop."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.answering.begin_anew)

    async def _watch_lag(self) -> None:
        """Measure how late the event loop is, and how this worker stands, for as long as it runs."""
        loop = asyncio.get_running_loop()
        noted_at = 0.0
        while True:
            due = loop.time() + LAG_S
            await asyncio.sleep(LAG_S)
            self.metrics.lagged(loop.time() - due)
            if loop.time() >= noted_at + STATE_S:
                noted_at = loop.time()
                self._note_state()

    def _note_state(self) -> None:
        published = published_at(self.models.current.version)
        self.metrics.state(
            journal_lag_s=time.monotonic() - self._caught_up_at,
            pending=self.committer.pending,
            dropped=self.exposures.dropped,
            model_age_s=(datetime.now(UTC) - published).total_seconds(),
        )

    def _catch_up(self) -> None:
        """Read the journal to its end; one that does not answer is followed as soon as it does."""
        try:
            prepare_tables(self._engine)
            while self.profiles.follow(FOLLOW_ROWS):
                pass
            self.live_tracks.follow()
            self.journal_trouble = ""
            self._caught_up_at = time.monotonic()
        except UnavailableError as error:
            self.journal_trouble = str(error)

    def _follow_journal(self) -> None:
        while not self._stopped.wait(FOLLOW_S if not self.journal_trouble else RETRY_S):
            if self.journal_trouble:
                self._catch_up()
                continue
            try:
                n = self.profiles.follow(FOLLOW_ROWS)
                self.live_tracks.follow()
                if n < FOLLOW_ROWS:
                    self._caught_up_at = time.monotonic()
            except UnavailableError as error:
                self.journal_trouble = str(error)
            except Exception:
                _log.exception("following the journal failed")
                self.journal_trouble = "following it failed"


def _cache(settings: Settings) -> CacheManager:
    redis_url = settings.redis_url
    return CacheManager(
        ttl_s=settings.cache_ttl_s,
        max_bytes=settings.cache_mb * 2**20,
        redis_url=None if redis_url is None else redis_url.get_secret_value(),
        timeout_s=settings.redis_timeout_ms / 1000,
    )
