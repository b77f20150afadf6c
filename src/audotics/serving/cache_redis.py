"""Second level of the cache: Redis, whose every trouble is a miss."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from redis.exceptions import ResponseError

from audotics.resilience.breaker import BreakerState, CircuitBreaker
from audotics.resilience.single_flight import SingleFlight
from audotics.serving.cache_connections import Command, CrowdedError, RedisConnections, Reply, refused
from audotics.serving.cache_entry import (
    CacheKey,
    Entry,
    field_name,
    hash_name,
    nobodys_name,
    pack,
    scope_of,
    unpack,
)
from audotics.serving.cache_statistics import Tally

MAX_SLOTS = 64
"""Entries of one listener; a hash that outgrows them is dropped whole.

Each write prolongs the life of its hash, so an active listener's would otherwise collect the slots of
every model version there ever was (the life of single fields needs Redis 7.4).
"""
MAX_WRITES = 64
"""Writes under way; what comes beyond is dropped instead of filling the memory."""

_log = logging.getLogger(__name__)


class RedisCache:
    """A hash per listener, a field per slot: one HGET answers and one DEL erases.

    Uses HGET, HSET, EXPIRE, HLEN, DEL, MULTI, EXEC and PING: no scripting, no KEYS. The last write wins: a
    slow worker may replace a newer revision by an older one; as every reader compares the revision with
    the one it needs, that costs one computation and never shows an old answer as a fresh one.

    Args:
        url: Address of the server.
        ttl_s: Longest life of an entry.
        timeout_s: Longest wait of a reader.
        prefix: Of every key in Redis.
        tally: What it counts errors and garbage into.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_s: float,
        timeout_s: float,
        prefix: str,
        tally: Tally,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.breaker = CircuitBreaker("redis")
        self._connections = RedisConnections(url, timeout_s)
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._prefix = prefix
        self._tally = tally
        self._clock = clock
        self._reads: SingleFlight[Entry | None] = SingleFlight()
        self._writes: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.Task[Any]] = set()

    async def get(self, key: CacheKey) -> Entry | None:
        """The living entry of this slot; None for whatever reason there is none within the time-out."""
        if not self._usable():
            return None
        scope = scope_of(key)
        field = field_name(scope)
        return await self._reads.run(field, lambda: self._read(key.user_id, field, scope))

    def put(self, key: CacheKey, entry: Entry) -> None:
        """Write an entry in the background."""
        if not self._usable():
            return
        if len(self._writes) >= MAX_WRITES:
            self._tally.errors += 1
            return
        self._start(self._write(key, entry), self._writes)

    async def delete(self, user_id: str) -> bool:
        """Drop every entry of a listener, after the writes under way; whether Redis confirmed it."""
        if not self._usable():
            return False
        deletion = self._start(self._delete(user_id), self._others)
        done, _ = await asyncio.wait((deletion,), timeout=2 * self._timeout_s)
        return bool(done) and deletion.result()

    async def close(self) -> None:
        """Wait for what is under way, a time-out long, and hang up."""
        await self._reads.landed(self._timeout_s)
        under_way = self._writes | self._others
        if under_way:
            await asyncio.wait(under_way, timeout=self._timeout_s)
        await self._connections.close()

    def _usable(self) -> bool:
        """Whether to ask Redis now. While it is left alone, probes run beside the requests, so none waits."""
        if self.breaker.state is BreakerState.CLOSED:
            return True
        if self.breaker.allows():
            self._start(self._probe(), self._others)
        return False

    async def _read(self, user_id: str, field: bytes, scope: bytes) -> Entry | None:
        replies = await self._ask(("HGET", self._name(user_id, field), field))
        value = replies[0] if replies else None
        if value is None:
            return None
        if isinstance(value, ResponseError) and not _holds_something_else(value):
            self._tally.errors += 1
            return None
        now = self._clock()
        entry = unpack(value, scope, now) if isinstance(value, bytes) else None
        if entry is None:
            self._tally.garbage += 1
            return None
        return entry if now < min(entry.expires_at, entry.made_at + self._ttl_s) else None

    async def _write(self, key: CacheKey, entry: Entry) -> None:
        scope = scope_of(key)
        field = field_name(scope)
        name = self._name(key.user_id, field)
        replies = await self._ask(
            ("MULTI",),
            ("HSET", name, field, pack(entry, scope)),
            ("EXPIRE", name, math.ceil(self._ttl_s)),
            ("HLEN", name),
            ("EXEC",),
        )
        if replies is None:
            return
        refusals = refused(replies)
        if refusals:
            self._tally.errors += 1
        if any(map(_holds_something_else, refusals)) or (not refusals and replies[-1][-1] > MAX_SLOTS):
            await self._ask(("DEL", name))

    def _name(self, user_id: str, field: bytes) -> str:
        return hash_name(self._prefix, user_id) if user_id else nobodys_name(self._prefix, field)

    async def _delete(self, user_id: str) -> bool:
        if self._writes:
            await asyncio.wait(tuple(self._writes))
        replies = await self._ask(("DEL", hash_name(self._prefix, user_id)))
        return replies is not None and not refused(replies)

    async def _probe(self) -> None:
        if await self._ask(("PING",)) is not None:
            _log.warning("the Redis of the cache answers again")

    async def _ask(self, *commands: Command) -> list[Reply] | None:
        """The replies, or None where Redis did not answer; tells the breaker."""
        try:
            replies = await self._connections.ask(*commands)
        except CrowdedError:
            self._tally.errors += 1
            self.breaker.withdrawn()
            return None
        except Exception as error:  # Whatever a server may answer: a cache is no reason to fail.
            self._tally.errors += 1
            self._report(error)
            return None
        self.breaker.succeeded()
        return replies

    def _report(self, error: Exception) -> None:
        opened = self.breaker.opened
        self.breaker.failed()
        if self.breaker.opened > opened:
            # Its class alone: messages of connections may hold more than a log should.
            _log.warning(
                "the Redis of the cache fails (%s) and is left alone for a while", type(error).__name__
            )

    def _start(self, work: Coroutine[Any, Any, Any], among: set[asyncio.Task[Any]]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        return task


def _holds_something_else(refusal: ResponseError) -> bool:
    """Whether Redis refused because the key holds no hash: it is nothing that this cache wrote."""
    return str(refusal).startswith("WRONGTYPE")
