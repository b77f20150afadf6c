"""The prediction cache: finished answers, in process and in Redis."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING

from audotics.errors import AudoticsError, BadInputError, MissingExtraError
from audotics.resilience.breaker import CircuitBreaker
from audotics.resilience.single_flight import SingleFlight
from audotics.serving.cache_entry import Cached, CacheKey, Entry
from audotics.serving.cache_erasure import Erasures
from audotics.serving.cache_local import LocalCache
from audotics.serving.cache_statistics import CacheStatistics, Tally

if TYPE_CHECKING:
    from audotics.serving.cache_redis import RedisCache

JITTER = 0.1
"""A life is up to this share shorter, so that answers made together do not end together."""


class Origin(Enum):
    """Where an answer came from."""

    CACHED = "cached"
    STALE = "stale"
    """Computed from an older revision of the listener's profile."""
    COMPUTED = "computed"
    SHARED = "shared"
    """Computed for another request that asked the same at the same time."""


class CacheManager:
    """Answers by slot in two levels: in this process, and in Redis where an address is given.

    A slot (`CacheKey`) holds one answer and the profile revision it was computed from, so an event of the
    listener makes it stale at once, and one lookup tells. An older revision never replaces a newer one in
    this process. In Redis the last write wins, and readers compare revisions.

    Nothing that Redis does raises an error here or takes longer than `timeout_s`: it is a miss, counted.
    After three failures in a row Redis is left alone and probed beside the requests until it answers again.

    Belongs to one event loop; a server has one per worker process.

    Args:
        ttl_s: Longest life of an answer.
        max_bytes: Bound of the level in this process, keys and overhead included; 0 keeps nothing there.
        redis_url: ``redis://``, ``rediss://`` or ``unix://``; None for no second level.
        timeout_s: Longest wait for Redis.
        prefix: Of every key in Redis; installations that share one need different ones.
        clock: Seconds since the epoch.

    Raises:
        BadInputError: A bound or the URL makes no sense.
        MissingExtraError: There is a URL, but redis-py is not installed.
    """

    def __init__(
        self,
        *,
        ttl_s: float = 86_400,
        max_bytes: int = 64 * 2**20,
        redis_url: str | None = None,
        timeout_s: float = 0.02,
        prefix: str = "audotics",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if ttl_s <= 0 or max_bytes < 0 or timeout_s <= 0:
            raise BadInputError(
                "ttl_s > 0, max_bytes >= 0 and timeout_s > 0 are needed, "
                f"not {ttl_s}, {max_bytes}, {timeout_s}",
                where="cache",
            )
        self._ttl_s = ttl_s
        self._clock = clock
        self._tally = Tally()
        self._local = LocalCache(max_bytes, clock)
        self._redis: RedisCache | None = None
        if redis_url is not None:
            self._redis = _redis_cache()(
                redis_url, ttl_s=ttl_s, timeout_s=timeout_s, prefix=prefix, tally=self._tally, clock=clock
            )
        self._flights: SingleFlight[bytes] = SingleFlight()
        self._erasures = Erasures(self._delete)

    @property
    def statistics(self) -> CacheStatistics:
        """What has been counted since the start, and what is held now."""
        tally = self._tally
        return CacheStatistics(
            hits_local=tally.hits_local,
            hits_redis=tally.hits_redis,
            stale=tally.stale,
            misses=tally.misses,
            errors=tally.errors,
            garbage=tally.garbage,
            bytes=self._local.bytes,
            entries=len(self._local),
            evictions=self._local.evictions,
        )

    @property
    def breaker(self) -> CircuitBreaker | None:
        """Of Redis; None without."""
        return self._redis.breaker if self._redis is not None else None

    def look_local(self, key: CacheKey, revision: int) -> Cached | None:
        """The entry of this slot in this process, fresh or stale; for the hot path.

        Counts a fresh one as a hit and nothing else: whoever gets no fresh one goes on to `look` or `answer`.
        """
        entry = self._local.get(key)
        if entry is None:
            return None
        found = entry.seen_from(revision)
        if found is not None and found.fresh:
            self._tally.hits_local += 1
        return found

    async def look(self, key: CacheKey, revision: int) -> Cached | None:
        """The entry of this slot, fresh or stale; never raises.

        Redis is asked when this process holds no fresh one; what it has is then kept here, too.
        """
        found = self.look_local(key, revision)
        if found is not None and found.fresh:
            return found
        if self._redis is not None and key.user_id not in self._erasures:
            entry = await self._redis.get(key)
            if entry is not None and not self._keep(key, entry):
                entry = None
            # This process first: it may have computed a newer answer meanwhile.
            kept = self._local.get(key) or entry
            found = kept.seen_from(revision) if kept is not None else None
            if found is not None and found.fresh:
                if kept is entry:
                    self._tally.hits_redis += 1
                else:
                    self._tally.hits_local += 1
                return found
        if found is None:
            self._tally.misses += 1
        else:
            self._tally.stale += 1
        return found

    async def store(self, key: CacheKey, revision: int, payload: bytes) -> None:
        """Keep an answer: in this process at once, in Redis in the background; never raises.

        Nothing is kept of a listener who was erased less than a minute ago: the answer may have been computed
        from what was known before.
        """
        now = self._clock()
        life_s = self._ttl_s * (1 - JITTER * random.random())  # noqa: S311 - spreads load, keeps no secret
        entry = Entry(payload, revision, now, now + life_s)
        if self._keep(key, entry) and self._redis is not None:
            self._redis.put(key, entry)

    async def answer(
        self, key: CacheKey, revision: int, compute: Callable[[], Awaitable[bytes]], *, stale_ok: bool
    ) -> tuple[bytes, Origin]:
        """The answer of a slot: from the cache, or computed once for all who ask for it now.

        The computation runs to its end and is kept even when its caller is cancelled.

        Args:
            key: The slot.
            revision: Of the listener's profile now.
            compute: Makes the answer.
            stale_ok: Whether an answer to an older revision will do where the new one is being computed for
                another request, or where computing it fails with an AudoticsError (no place to
                compute it, a dependency that is away).

        Returns:
            The answer and where it came from.

        Raises:
            Exception: What `compute` raised, for every request that waited for it.
        """
        found = await self.look(key, revision)
        if found is not None and found.fresh:
            return found.payload, Origin.CACHED
        if key.user_id in self._erasures:
            # Not shared: a computation under way may be from before the erasure.
            return await compute(), Origin.COMPUTED
        stale = found if stale_ok else None
        flight = (key, revision)
        shared = flight in self._flights
        if shared and stale is not None:
            return stale.payload, Origin.STALE
        try:
            payload = await self._flights.run(flight, lambda: self._computed(key, revision, compute))
        except AudoticsError:
            if stale is None:
                raise
            return stale.payload, Origin.STALE
        return payload, Origin.SHARED if shared else Origin.COMPUTED

    async def forget(self, user_id: str) -> bool:
        """Erase a listener: every entry, here and in Redis.

        Other processes forget what they hold themselves when their own manager is told. Until then, the
        revision tells: answers to a higher one than a request's are never shown (`Entry.seen_from`).

        Returns:
            Whether Redis confirmed it, or there is none. Otherwise the deletion is tried again until
            it does, and until then this process reads and keeps nothing of this listener.
        """
        self._local.forget(user_id)
        return await self._erasures.begin(user_id)

    async def close(self) -> None:
        """Wait shortly for writes under way and hang up; lookups then find what this process holds."""
        await self._erasures.close()
        if self._redis is not None:
            redis, self._redis = self._redis, None
            await redis.close()

    async def _computed(self, key: CacheKey, revision: int, compute: Callable[[], Awaitable[bytes]]) -> bytes:
        payload = await compute()
        await self.store(key, revision, payload)
        return payload

    def _keep(self, key: CacheKey, entry: Entry) -> bool:
        """Put an entry into this process; False where its listener is being erased."""
        if key.user_id in self._erasures:
            return False
        self._local.put(key, entry)
        return True

    async def _delete(self, user_id: str) -> bool:
        self._local.forget(user_id)
        return self._redis is None or await self._redis.delete(user_id)


def _redis_cache() -> type[RedisCache]:
    try:
        from audotics.serving.cache_redis import RedisCache
    except ImportError as error:
        raise MissingExtraError("the cache in Redis", "redis") from error
    return RedisCache
