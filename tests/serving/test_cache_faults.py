"""The cache while its Redis is killed, hung, slow, emptied or mended, with requests going on."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from audotics.resilience import BreakerState
from audotics.serving import CacheKey, CacheManager, Origin
from contract.caches import written
from contract.loops import in_uvloop
from contract.services import RedisServer
from contract.slow_proxy import SlowProxy

KEY = CacheKey("user-0", "20261123T101500Z-3f2a", "a", "web|DE|18", "k=20")
TIMEOUT_S = 0.02
PATIENT_S = 10.0
"""Where no test of time-outs is meant: longer than a busy machine takes."""


def key_of(number: int) -> CacheKey:
    return replace(KEY, user_id=f"user-{number}")


def payload_of(key: CacheKey) -> bytes:
    return key.user_id.encode() * 300


@asynccontextmanager
async def cache_at(url: str, timeout_s: float = TIMEOUT_S) -> AsyncIterator[CacheManager]:
    """Keeps nothing in process, so that every request asks Redis."""
    cache = CacheManager(redis_url=url, timeout_s=timeout_s, max_bytes=0)
    try:
        yield cache
    finally:
        await cache.close()


async def requests(cache: CacheManager, n: int, among: int = 50) -> list[float]:
    """Seconds of `n` requests one after the other; each must get its own listener's answer."""
    seconds = []
    for number in range(n):
        key = key_of(number % among)

        async def compute(key: CacheKey = key) -> bytes:
            return payload_of(key)

        begun = time.perf_counter()
        payload, _ = await cache.answer(key, 1, compute, stale_ok=True)
        seconds.append(time.perf_counter() - begun)
        assert payload == payload_of(key)
    return seconds


async def best_p99(cache: CacheManager, n: int, windows: int = 8) -> float:
    """The 99th percentile in the calmest of some windows: a busy machine disturbs some, a fault all."""
    return min([statistics.quantiles(await requests(cache, n), n=100)[98] for _ in range(windows)])


async def until_it_serves(cache: CacheManager) -> None:
    """Go on asking until nearly all answers come from Redis again."""
    async with asyncio.timeout(3 * PATIENT_S):
        n_hits = 0
        while n_hits < 45:
            before = cache.statistics.hits_redis
            await requests(cache, 50)
            n_hits = cache.statistics.hits_redis - before
            await asyncio.sleep(0.02)
    assert cache.breaker is not None
    assert cache.breaker.state is BreakerState.CLOSED


@in_uvloop
async def test_killed_under_load_it_costs_misses_and_no_time(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with cache_at(redis_server.unix_url, timeout_s=PATIENT_S) as cache:
        assert cache.breaker is not None
        await requests(cache, 100)
        healthy = await best_p99(cache, 100)
        redis_server.stop()
        killed = await best_p99(cache, 250)
        assert cache.breaker.state is not BreakerState.CLOSED
        assert killed < healthy + 0.001
        assert cache.statistics.errors >= 3
        redis_server.start()
        await until_it_serves(cache)
        assert [record.message.split("(")[0] for record in caplog.records] == [
            "the Redis of the cache fails ",
            "the Redis of the cache answers again",
        ]


@in_uvloop
async def test_hung_it_costs_a_few_time_outs_and_then_nothing(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url) as cache:
        assert cache.breaker is not None
        await requests(cache, 50)
        redis_server.pause()
        first = await requests(cache, 4)
        assert max(first) < TIMEOUT_S + 0.2, "the time-out, and what a busy machine adds"
        assert cache.breaker.state is not BreakerState.CLOSED
        assert cache.breaker.opened == 1
        begun = time.perf_counter()
        later = []
        while time.perf_counter() - begun < 1.2:  # long enough for a probe, which nobody waits for
            later.append(await best_p99(cache, 20, windows=1))
            await asyncio.sleep(0.005)
        assert statistics.median(later) < 0.002
        assert cache.statistics.errors > 3, "a probe was made"
        redis_server.resume()
        await until_it_serves(cache)


@in_uvloop
async def test_hung_from_the_start_it_is_a_miss_within_the_time_out(redis_server: RedisServer) -> None:
    # Another database: opening a connection takes a reply then, which does not come.
    async with cache_at(redis_server.unix_url.replace("db=0", "db=1")) as cache:
        redis_server.pause()
        begun = time.perf_counter()
        found = await asyncio.gather(*(cache.look(key_of(number), 1) for number in range(40)))
        assert time.perf_counter() - begun < TIMEOUT_S + 0.2
        assert found == [None] * 40
        redis_server.resume()


@in_uvloop
async def test_slow_but_in_time_it_serves(redis_server: RedisServer) -> None:
    async with (
        SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket) as proxy,
        cache_at(proxy.url, timeout_s=0.5) as cache,
    ):
        await requests(cache, 50)
        proxy.delay_s = 0.005
        before = cache.statistics
        slow = await requests(cache, 50)
        assert cache.statistics.hits_redis - before.hits_redis >= 45
        assert statistics.median(slow) > 0.005
        assert cache.statistics.errors == 0


@in_uvloop
async def test_too_slow_it_is_left_alone_and_found_again(redis_server: RedisServer) -> None:
    async with (
        SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket, 0.2) as proxy,
        cache_at(proxy.url) as cache,
    ):
        assert cache.breaker is not None
        assert max(await requests(cache, 4)) < TIMEOUT_S + 0.2
        assert await best_p99(cache, 50) < 0.002
        assert cache.breaker.opened == 1
        proxy.delay_s = 0.0
        await until_it_serves(cache)


@pytest.mark.parametrize("how", ["flushed", "restarted"])
@in_uvloop
async def test_emptied_under_load_each_key_is_computed_once_at_a_time(
    redis_server: RedisServer, how: str
) -> None:
    computing: dict[str, int] = {}
    computed = 0

    async def request(cache: CacheManager, key: CacheKey) -> None:
        async def compute() -> bytes:
            nonlocal computed
            computing[key.user_id] = computing.get(key.user_id, 0) + 1
            assert computing[key.user_id] == 1, "two at once for one key"
            computed += 1
            await asyncio.sleep(0.02)
            computing[key.user_id] -= 1
            return payload_of(key)

        payload, _ = await cache.answer(key, 1, compute, stale_ok=False)
        assert payload == payload_of(key)

    async with cache_at(redis_server.unix_url, timeout_s=PATIENT_S) as cache:
        await asyncio.gather(*(request(cache, key_of(number)) for number in range(20)))
        await written(cache)
        assert computed == 20
        if how == "flushed":
            redis_server.flush()
        else:
            redis_server.stop()
            redis_server.start()
        await asyncio.gather(*(request(cache, key_of(number % 20)) for number in range(400)))
        assert computed == 40, "one computation per key"
        assert cache.breaker is not None
        assert cache.breaker.opened == 0, "connections that a restart closed are replaced"


@in_uvloop
async def test_no_reply_crosses_to_another_listener_when_clients_disconnect(
    redis_server: RedisServer,
) -> None:
    draw = random.Random(7)  # noqa: S311 - the test is the same each time
    outcomes = {"answered": 0, "gone": 0, "missed": 0}

    async def request(cache: CacheManager, number: int) -> None:
        key = key_of(number % 500)
        looking = asyncio.create_task(cache.look(key, 1))
        if number % 5:
            await asyncio.sleep(draw.choice((0.0, 0.001, 0.004, 0.01)))
            looking.cancel()
        try:
            found = await looking
        except asyncio.CancelledError:
            outcomes["gone"] += 1
            return
        if found is None:
            outcomes["missed"] += 1
            return
        assert found.payload == payload_of(key)
        outcomes["answered"] += 1

    async with (
        SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket) as proxy,
        cache_at(proxy.url, timeout_s=PATIENT_S) as cache,
    ):
        for number in range(500):
            await cache.store(key_of(number), 1, payload_of(key_of(number)))
            await written(cache)
        proxy.delay_s = 0.0005
        for start in range(0, 12_500, 125):
            await asyncio.gather(*(request(cache, start + offset) for offset in range(125)))
        assert sum(outcomes.values()) == 12_500
        assert outcomes["gone"] > 2000
        assert outcomes["answered"] > 2000
        # A reply to another question would not check out against the listener it was read for.
        assert cache.statistics.garbage == 0
        assert cache.statistics.errors == 0


@in_uvloop
async def test_a_listener_erased_while_redis_is_away_is_erased_when_it_is_back(
    redis_server: RedisServer,
) -> None:
    async with (
        cache_at(redis_server.unix_url, timeout_s=0.5) as other,
        cache_at(redis_server.unix_url) as cache,
    ):
        await other.store(KEY, 1, payload_of(KEY))
        await written(other)
        assert await other.look(KEY, 1) is not None
        redis_server.pause()
        assert not await cache.forget(KEY.user_id)
        assert await cache.answer(KEY, 1, _new, stale_ok=True) == (b"new", Origin.COMPUTED)
        redis_server.resume()
        async with asyncio.timeout(10):
            while await other.look(KEY, 1) is not None:
                await asyncio.sleep(0.02)


async def _new() -> bytes:
    return b"new"
