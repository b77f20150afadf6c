"""The ladder: from a fresh personal answer down to what is popular, within a deadline, never an error."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from audotics.domain import Query, Slate
from audotics.errors import BadInputError, OpenCircuitError, UnavailableError
from audotics.recommender.reactions import Reactions
from audotics.resilience import Admission, CircuitBreaker, Deadline
from audotics.serving.cache import CacheManager, Origin
from audotics.serving.cache_entry import CacheKey
from audotics.serving.encoding import Answer, Rung, ServedFrom, body, context_bucket, request_digest
from audotics.serving.following import ModelFollower
from audotics.serving.metrics import Metrics
from audotics.serving.profiles import NOBODY, Profile, Profiles
from audotics.serving.served import Served, well_formed

_log = logging.getLogger("audotics.serving")


_ERASED = "\0"
"""Before the name of an erased listener: ids hold no null, so no version knows anybody of that name."""


class _SteppedDownError(Exception):
    """No personal answer; says why in one word."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """A request on its way down the ladder."""

    query: Query
    explain: bool
    variant: str
    served: Served
    since: Reactions
    revision: int
    deadline: Deadline
    at: datetime

    @property
    def key(self) -> CacheKey:
        query = self.query
        return CacheKey(
            user_id=query.user_id or "",
            model_version=self.served.cache_version,
            variant=self.variant,
            context=context_bucket(query, self.at),
            request=request_digest(query, explain=self.explain),
        )

    def body(self, slate: Slate, rung: Rung) -> bytes:
        if slate.user_id is not None:
            slate = replace(slate, user_id=slate.user_id.removeprefix(_ERASED))
        return body(slate, rung, self.served.version, self.variant, explain=self.explain)


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
    ) -> None:
        self._models = models
        self._profiles = profiles
        self._cache = cache
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._in_flight = in_flight
        self._recommend = recommend
        self._stand_in = stand_in
        self.admission = Admission(in_flight)
        self._journal_breaker = CircuitBreaker("journal", counts=(UnavailableError,))
        self._computing = ThreadPoolExecutor(1, "compute")
        self._reading = ThreadPoolExecutor(2, "profiles")

    def close(self) -> None:
        """Let running work end and take no more."""
        self._computing.shutdown(cancel_futures=True)
        self._reading.shutdown(cancel_futures=True)

    def begin_anew(self) -> None:
        """Leave what is being computed to itself, as it hangs, and compute on another thread."""
        hung, self._computing = self._computing, ThreadPoolExecutor(1, "compute")
        self.admission = Admission(self._in_flight)
        hung.shutdown(wait=False)

    async def answer(
        self, query: Query, *, explain: bool = True, variant: str = "", served: Served | None = None
    ) -> Answer:
        """The best answer that can be had within the deadline.

        Args:
            query: Who asks for what.
            explain: Whether each track says why.
            variant: The experiment's arm.
            served: The version that answers; None takes the one that serves.

        Raises:
            BadInputError: The query cannot be answered by anybody.
        """
        at = datetime.now(UTC)
        deadline = Deadline.after(self._deadline_s)
        served = served or self._models.current
        query = self._without_erased(replace(query, context=replace(query.context, at=at)))
        missing: list[str] = []
        profiles = {}
        for user_id in query.listeners:
            profile = self._profiles.known(user_id.removeprefix(_ERASED), served.trained_until)
            if profile is None:
                profile = await self._read_profile(user_id.removeprefix(_ERASED), served, deadline, missing)
            profiles[user_id] = profile
        ask = _Ask(
            query,
            explain,
            variant,
            served,
            {user_id: profile.reactions for user_id, profile in profiles.items() if profile.reactions},
            max((profile.revision for profile in profiles.values()), default=0),
            deadline,
            at,
        )
        return await self._answer(ask, missing)

    def _without_erased(self, query: Query) -> Query:
        """The query with names that no version knows for listeners who were erased."""
        if query.user_id is not None and self._profiles.is_erased(query.user_id):
            return replace(query, user_id=_ERASED + query.user_id)
        if any(self._profiles.is_erased(one) for one in query.group):
            renamed = (_ERASED + one if self._profiles.is_erased(one) else one for one in query.group)
            return replace(query, group=tuple(renamed))
        return query

    async def _answer(self, ask: _Ask, missing: list[str]) -> Answer:
        request_id = f"{random.getrandbits(96):024x}"
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
            return await self.answer(ask.query, explain=ask.explain, variant=ask.variant, served=other)
        stale = self._cache.look_local(key, ask.revision)
        if stale is None and ask.served.before:
            stale = self._cache.look_local(replace(key, model_version=ask.served.before), ask.revision)
        if stale is not None:
            self._metrics.answered(Rung.PERSONALISED, ServedFrom.STALE)
            return Answer(stale.payload, request_id, ServedFrom.STALE, tuple(missing))
        payload, rung = self._lower(ask, retrieval="deadline" not in missing and "overload" not in missing)
        self._metrics.answered(rung, ServedFrom.COMPUTED)
        return Answer(payload, request_id, ServedFrom.COMPUTED, tuple(missing))

    async def _compute(self, ask: _Ask) -> bytes:
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

    def _personalised(self, ask: _Ask) -> bytes:
        with self._metrics.timed("compute"):
            try:
                slate = self._recommend(ask.served, ask.query, ask.since)
            except BadInputError:
                raise
            except UnavailableError as error:
                _log.warning("the ranker does not answer: %s", error)
                raise _SteppedDownError("ranker") from error
            except Exception as error:
                _log.exception("the recommender of version %s failed", ask.served.version)
                raise _SteppedDownError("ranker") from error
        with self._metrics.timed("encode"):
            return ask.body(slate, Rung.PERSONALISED)

    def _lower(self, ask: _Ask, *, retrieval: bool) -> tuple[bytes, Rung]:
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
