"""The ladder: from a fresh personal answer down to what is popular, within a deadline, never an error."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from audotics.domain import Query, Slate
from audotics.errors import BadInputError, OpenCircuitError, UnavailableError
from audotics.experiments.hashing import xxh64
from audotics.recommender.reactions import Reactions
from audotics.resilience import Admission, CircuitBreaker, Deadline, LoneWorker
from audotics.serving.asking import ERASED, Ask
from audotics.serving.cache import CacheManager, Origin
from audotics.serving.encoding import Answer, Rung, ServedFrom
from audotics.serving.following import ModelFollower
from audotics.serving.interleaved import interleaved
from audotics.serving.metrics import Metrics
from audotics.serving.profiles import NOBODY, Profile, Profiles
from audotics.serving.served import Served, well_formed
from audotics.serving.variants import Variants
from audotics.serving.ways import Way, first_seen

_log = logging.getLogger("audotics.serving")


class _SteppedDownError(Exception):
    """No personal answer; says why in one word."""


class Answering:
    """Answers queries. One instance for each worker; its methods run on the event loop.

    Uncached answers are computed one at a time on a thread of their own, so that the loop stays free for
    cached answers, events and health checks; more of them than ``in_flight`` are not even begun.

    Args:
        models: The version that serves.
        profiles: What listeners did since training.
        cache: Answers that hold.
        metrics: Counts what happens.
        deadline_s: Time that an answer may take.
        in_flight: Answers computed or waiting at once.
        recommend: Asks a version.
        stand_in: The version that answers what another one failed; None where there is none.
        variants: The experiments; None where there are none.
    """

    def __init__(
        self,
        models: ModelFollower,
        profiles: Profiles,
        cache: CacheManager,
        metrics: Metrics,
        *,
        deadline_s: float = 0.1,
        in_flight: int = 4,
        recommend: Callable[[Served, Query, Reactions], Slate] = well_formed,
        stand_in: Callable[[Served], Served | None] = lambda _: None,
        variants: Variants | None = None,
    ) -> None:
        self._models = models
        self._profiles = profiles
        self._cache = cache
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._in_flight = in_flight
        self._recommend = recommend
        self._stand_in = stand_in
        self._variants = variants
        self.admission = Admission(in_flight)
        self._journal_breaker = CircuitBreaker("journal", counts=(UnavailableError,))
        self._computing = LoneWorker("compute")
        self._reading = ThreadPoolExecutor(2, "profiles")

    def close(self) -> None:
        """Let running work end and take no more."""
        self._computing.shutdown(cancel_futures=True)
        self._reading.shutdown(cancel_futures=True)

    def begin_anew(self) -> None:
        """Leave what is being computed to itself, as it hangs, and compute on another thread."""
        hung, self._computing = self._computing, LoneWorker("compute")
        self.admission = Admission(self._in_flight)
        hung.shutdown(wait=False)

    async def answer(
        self, query: Query, *, explain: bool = True, signed_up: datetime | None = None
    ) -> Answer:
        """The best answer that can be had within the deadline, by the arms of the listener's experiments.

        Args:
            query: Who asks for what.
            explain: Whether each track says why.
            signed_up: When the listener did, for experiments with new listeners.

        Raises:
            BadInputError: The query cannot be answered by anybody.
        """
        start, at = time.perf_counter(), datetime.now(UTC)
        deadline = Deadline.after(self._deadline_s)
        listener, missing = query.user_id, list[str]()
        way = Way(
            self._models.current, self._without_erased(replace(query, context=replace(query.context, at=at)))
        )
        if self._variants is not None:
            if self._variants.targets_new:
                await self._read_profiles(way.query, way.served, deadline, [])
            way = self._variants.way(way, listener, lambda: signed_up or self._first_seen(way))
        answer = await self._by(way, explain, at, deadline, missing)
        if way.variant and self._variants is not None:
            seconds = time.perf_counter() - start
            self._variants.answered(way.variant, answer.origin, bool(answer.degraded), seconds)
        return answer

    async def _by(
        self, way: Way, explain: bool, at: datetime, deadline: Deadline, missing: list[str]
    ) -> Answer:
        profiles = await self._read_profiles(way.query, way.served, deadline, missing)
        rival = way.rival
        ask = Ask(
            way.query,
            explain,
            way.variant,
            way.served,
            {user_id: profile.reactions for user_id, profile in profiles.items() if profile.reactions},
            max((profile.revision for profile in profiles.values()), default=0),
            deadline,
            at,
            rival,
            {} if rival is None else self._profiles.reactions(profiles, rival.served.trained_until),
        )
        if way.in_holdout:
            self._metrics.answered(Rung.POPULAR, ServedFrom.COMPUTED)
            payload = ask.body(way.served.popular_overall(way.query, {}), Rung.POPULAR)
            return Answer(payload, _new_request_id(), ServedFrom.COMPUTED, tuple(missing))
        return await self._answer(ask, missing)

    async def _read_profiles(
        self, query: Query, served: Served, deadline: Deadline, missing: list[str]
    ) -> dict[str, Profile]:
        """Of everybody whom the query names."""
        profiles = {}
        for user_id in query.listeners:
            profile = self._profiles.known(user_id.removeprefix(ERASED), served.trained_until)
            if profile is None:
                profile = await self._read_profile(user_id.removeprefix(ERASED), served, deadline, missing)
            profiles[user_id] = profile
        return profiles

    def _first_seen(self, way: Way) -> datetime | None:
        listener = way.query.user_id or ""
        profile = self._profiles.known(listener.removeprefix(ERASED), way.served.trained_until)
        return first_seen(way.served, listener, profile)

    def _without_erased(self, query: Query) -> Query:
        """The query with names that no version knows for listeners who were erased."""
        if query.user_id is not None and self._profiles.is_erased(query.user_id):
            return replace(query, user_id=ERASED + query.user_id)
        if any(self._profiles.is_erased(one) for one in query.group):
            renamed = (ERASED + one if self._profiles.is_erased(one) else one for one in query.group)
            return replace(query, group=tuple(renamed))
        return query

    async def _answer(self, ask: Ask, missing: list[str]) -> Answer:
        request_id = _new_request_id()
        key = ask.key
        found = self._cache.look_local(key, ask.revision)
        if found is not None and found.fresh:
            self._metrics.answered(Rung.PERSONALISED, ServedFrom.CACHE)
            return Answer(found.payload, request_id, ServedFrom.CACHE, tuple(missing))
        try:
            async with asyncio.timeout(ask.deadline.remaining()):
                payload, origin = await self._cache.answer(
                    key, ask.revision, lambda: self._compute(ask), stale_ok=False
                )
        except TimeoutError:
            missing.append("deadline")
        except _SteppedDownError as reason:
            missing.append(str(reason))
        else:
            cached = origin is Origin.CACHED
            self._metrics.answered(Rung.PERSONALISED, ServedFrom.CACHE if cached else ServedFrom.COMPUTED)
            return Answer(
                payload, request_id, ServedFrom.CACHE if cached else ServedFrom.COMPUTED, tuple(missing)
            )
        self._metrics.stepped_down(missing[-1])
        if missing[-1] == "ranker" and (other := self._stand_in(ask.served)) is not None:
            instead = Way(other, ask.query, ask.variant)
            return await self._by(instead, ask.explain, ask.at, Deadline.after(self._deadline_s), [])
        stale = self._cache.look_local(key, ask.revision)
        if stale is None and ask.served.before:
            stale = self._cache.look_local(replace(key, model_version=ask.served.before), ask.revision)
        if stale is not None:
            self._metrics.answered(Rung.PERSONALISED, ServedFrom.STALE)
            return Answer(stale.payload, request_id, ServedFrom.STALE, tuple(missing))
        payload, rung = self._lower(ask, retrieval="deadline" not in missing and "overload" not in missing)
        self._metrics.answered(rung, ServedFrom.COMPUTED)
        return Answer(payload, request_id, ServedFrom.COMPUTED, tuple(missing))

    async def _compute(self, ask: Ask) -> bytes:
        """A fresh personal answer, worth keeping.

        Raises:
            _SteppedDownError: Too much is under way, or the recommender failed.
        """
        admission = self.admission
        if not admission.enter():
            raise _SteppedDownError("overload")
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._computing, self._personalised, ask)
        work.add_done_callback(lambda _: admission.leave())
        return await work

    def _personalised(self, ask: Ask) -> bytes:
        with self._metrics.timed("compute"):
            try:
                slate, teams = self._slate(ask)
            except BadInputError:
                raise
            except UnavailableError as error:
                _log.warning("the ranker does not answer: %s", error)
                raise _SteppedDownError("ranker") from error
            except Exception as error:
                _log.exception("the recommender of version %s failed", ask.served.version)
                raise _SteppedDownError("ranker") from error
        with self._metrics.timed("encode"):
            return ask.body(slate, Rung.PERSONALISED, teams)

    def _slate(self, ask: Ask) -> tuple[Slate, tuple[str, ...]]:
        """The slate, and in an interleaved one whose track each is."""
        slate, rival = self._recommend(ask.served, ask.query, ask.since), ask.rival
        if rival is None:
            return slate, ()
        other = self._recommend(rival.served, rival.query, ask.rival_since)
        seed = xxh64(f"{ask.key}{ask.revision}".encode(errors="surrogatepass"))
        return interleaved((slate, other), rival.names, ask.query.k, seed)

    def _lower(self, ask: Ask, *, retrieval: bool) -> tuple[bytes, Rung]:
        """The first of the lower rungs that has something; the last one always has."""
        served, query, since = ask.served, ask.query, ask.since
        rungs: Mapping[Rung, Callable[[], Slate | None]] = {
            Rung.FAVOURITES: lambda: served.favourites(query, since),
            Rung.POPULAR_COUNTRY: lambda: served.popular_here(query, since),
        }
        if retrieval:
            rungs = {Rung.RETRIEVAL: lambda: served.by_votes(query, since)} | dict(rungs)
        for rung, make in rungs.items():
            try:
                slate = make()
            except Exception:
                _log.exception("rung %s failed", rung)
                continue
            if slate is not None:
                return ask.body(slate, rung), rung
        return ask.body(served.popular_overall(query, since), Rung.POPULAR), Rung.POPULAR

    async def _read_profile(
        self, user_id: str, served: Served, deadline: Deadline, missing: list[str]
    ) -> Profile:
        """The profile of a listener who is not in memory; nobody's where the journal does not answer."""

        def read() -> Profile:
            with self._journal_breaker:
                return self._profiles.read(user_id, served.trained_until)

        try:
            # Half of the time at most: the rest is for the answer itself.
            return await asyncio.wait_for(
                asyncio.get_running_loop().run_in_executor(self._reading, read), deadline.remaining() / 2
            )
        except (TimeoutError, UnavailableError, OpenCircuitError):
            missing.append("profile")
            return NOBODY


def _new_request_id() -> str:
    return f"{random.getrandbits(96):024x}"
