from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis import Redis

from audotics.errors import BadInputError
from audotics.serving import CacheKey, CacheManager, Origin
from audotics.serving.cache_entry import Entry, field_name, hash_name, pack, scope_of
from audotics.serving.cache_erasure import Erasures
from audotics.serving.cache_redis import MAX_SLOTS
from contract.caches import written
from contract.clocks import Clock
from contract.loops import in_loop, in_uvloop
from contract.services import RedisServer
from contract.slow_proxy import SlowProxy

KEY = CacheKey("user-1", "20261123T101500Z-3f2a", "a", "web|DE|18", "k=20")
NAME = hash_name("audotics", KEY.user_id)
SCOPE = scope_of(KEY)
FIELD = field_name(SCOPE)
PATIENT_S = 10.0
"""Where no test of time-outs is meant: longer than a busy machine takes."""


@asynccontextmanager
async def cache_at(url: str, **settings: object) -> AsyncIterator[CacheManager]:
    cache = CacheManager(redis_url=url, **({"timeout_s": PATIENT_S} | settings))  # type: ignore[arg-type]
    try:
        yield cache
    finally:
        await cache.close()


async def stored(cache: CacheManager, key: CacheKey, revision: int, payload: bytes) -> None:
    await cache.store(key, revision, payload)
    await written(cache)


def direct(server: RedisServer) -> Redis:
    return Redis(unix_socket_path=str(server.unix_socket))


async def never() -> bytes:
    pytest.fail("computed what the cache has")


@in_uvloop
async def test_processes_share_what_one_of_them_computed(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url) as one, cache_at(redis_server.url) as two:
        await stored(one, KEY, 1, b"from one")
        assert await two.answer(KEY, 1, never, stale_ok=False) == (b"from one", Origin.CACHED)
        assert await two.answer(KEY, 1, never, stale_ok=False) == (b"from one", Origin.CACHED)
        counted = two.statistics
        assert (counted.hits_redis, counted.hits_local, counted.misses) == (1, 1, 0)
        assert two.look_local(KEY, 1) is not None, "what Redis had is now here, too"
        assert await two.look(replace(KEY, user_id="user-2"), 1) is None


@in_loop
async def test_it_works_in_asyncios_own_loop_too(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.url) as one, cache_at(redis_server.url) as two:
        await stored(one, KEY, 1, b"x")
        assert await two.look(KEY, 1) is not None


@in_uvloop
async def test_one_look_tells_fresh_from_stale(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url) as one, cache_at(redis_server.unix_url) as two:
        await stored(one, KEY, 1, b"one")
        stale = await two.look(KEY, 2)
        assert stale is not None
        assert (stale.payload, stale.revision, stale.fresh) == (b"one", 1, False)
        await stored(one, KEY, 2, b"two")
        fresh = await two.look(KEY, 2)
        assert fresh is not None
        assert (fresh.payload, fresh.fresh) == (b"two", True)
        counted = two.statistics
        assert (counted.stale, counted.hits_redis) == (1, 1)


@in_uvloop
async def test_a_slow_worker_that_writes_late_costs_a_computation_and_no_wrong_answer(
    redis_server: RedisServer,
) -> None:
    async with cache_at(redis_server.unix_url) as one, cache_at(redis_server.unix_url) as two:
        await stored(one, KEY, 2, b"two")
        await stored(two, KEY, 1, b"late one")
        async with cache_at(redis_server.unix_url) as third:
            found = await third.look(KEY, 2)
            assert found is not None
            assert (found.payload, found.fresh) == (b"late one", False)
        kept = await one.look(KEY, 2)
        assert kept is not None
        assert kept.payload == b"two"


@in_uvloop
async def test_an_answer_keeps_its_age_when_another_process_takes_it(redis_server: RedisServer) -> None:
    clock = Clock(1e9)
    async with (
        cache_at(redis_server.unix_url, ttl_s=100.0, clock=clock) as one,
        cache_at(redis_server.unix_url, ttl_s=100.0, clock=clock) as two,
        cache_at(redis_server.unix_url, ttl_s=30.0, clock=clock) as impatient,
    ):
        await stored(one, KEY, 1, b"x")
        clock.advance(89)
        found = await two.look(KEY, 1)
        assert found is not None
        assert found.made_at == 1e9
        assert await impatient.look(KEY, 1) is None, "too old for this one"
        clock.advance(11)
        assert await two.look(KEY, 1) is None
        assert two.statistics.garbage == impatient.statistics.garbage == 0, "old is not broken"


@in_uvloop
async def test_what_lies_in_redis_is_a_hash_per_listener_with_an_end(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url, prefix="shop") as cache:
        for request in ("k=10", "k=20"):
            await stored(cache, replace(KEY, request=request), 1, b"payload")
    with direct(redis_server) as redis:
        (name,) = redis.keys()
        assert name.decode() == hash_name("shop", KEY.user_id)
        assert b"user-1" not in name
        assert redis.hlen(name) == 2
        assert 86_390 < redis.ttl(name) <= 86_400
        assert all(value.endswith(b"payload") for value in redis.hvals(name))


@in_uvloop
async def test_a_listeners_hash_that_grows_too_large_starts_anew(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url) as cache:
        for number in range(3 * MAX_SLOTS):
            await stored(cache, replace(KEY, request=f"k={number}"), 1, b"x")
            with direct(redis_server) as redis:
                assert redis.hlen(NAME) <= MAX_SLOTS
        assert cache.statistics.errors == 0


@in_uvloop
async def test_answers_of_nobody_in_particular_do_not_share_a_hash(redis_server: RedisServer) -> None:
    keys = [replace(KEY, user_id="", request=f"history {number}") for number in range(2 * MAX_SLOTS)]
    async with cache_at(redis_server.unix_url) as one, cache_at(redis_server.unix_url) as two:
        for key in keys:
            await stored(one, key, 1, key.request.encode())
        for key in keys:
            assert await two.answer(key, 1, never, stale_ok=False) == (key.request.encode(), Origin.CACHED)
    with direct(redis_server) as redis:
        assert redis.dbsize() == len(keys)
        assert min(map(redis.ttl, redis.keys())) > 0


@in_uvloop
async def test_erasing_leaves_nothing_in_redis(redis_server: RedisServer) -> None:
    other = replace(KEY, user_id="user-2")
    async with cache_at(redis_server.unix_url) as cache, cache_at(redis_server.unix_url) as second:
        for key in (KEY, replace(KEY, model_version="older"), other):
            await stored(cache, key, 1, b"x")
        await cache.store(KEY, 2, b"still being written")
        assert await cache.forget(KEY.user_id)
        await cache.store(KEY, 3, b"too late")
        await written(cache)
        assert await cache.look(KEY, 3) is None
        assert await second.look(KEY, 3) is None
        assert await second.look(other, 1) is not None
        with direct(redis_server) as redis:
            assert list(map(bytes.decode, redis.keys())) == [hash_name("audotics", "user-2")]


@in_uvloop
async def test_another_process_cannot_bring_an_erased_listener_back(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url) as cache, cache_at(redis_server.unix_url) as slow:
        cache._erasures = Erasures(cache._delete, grace_s=0.05)
        await cache.forget(KEY.user_id)
        await stored(slow, KEY, 7, b"computed before the erasure")
        assert await cache.look(KEY, 7) is None
        while KEY.user_id in cache._erasures:
            await asyncio.sleep(0.01)
        with direct(redis_server) as redis:
            assert redis.keys() == []


@in_uvloop
async def test_equal_questions_at_once_ask_redis_once(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url) as one, cache_at(redis_server.unix_url) as two:
        await stored(one, KEY, 1, b"x")
        with direct(redis_server) as redis:
            redis.config_resetstat()
            found = await asyncio.gather(*(two.look(KEY, 1) for _ in range(50)))
            assert all(cached is not None and cached.payload == b"x" for cached in found)
            assert redis.info("commandstats")["cmdstat_hget"]["calls"] == 1


JUNK = [
    b"",
    b"garbage",
    b"AUCA" + bytes(41),
    bytes(4600),
    pack(Entry(b"another listener's", 1, 1e9, 9e9), scope_of(replace(KEY, user_id="user-2"))),
    pack(Entry(b"another version's", 1, 1e9, 9e9), scope_of(replace(KEY, model_version="older"))),
    pack(Entry(b"cut short", 1, 1e9, 9e9), SCOPE)[:-1],
    pack(Entry(b"from next year", 1, 4e9, 9e9), SCOPE),
]


@in_uvloop
async def test_garbage_and_other_listeners_bytes_are_misses(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url, max_bytes=0) as cache:
        with direct(redis_server) as redis:
            for n_before, junk in enumerate(JUNK):
                redis.hset(NAME, FIELD, junk)
                assert await cache.look(KEY, 1) is None
                assert cache.statistics.garbage == n_before + 1
            compute_again = b"right"

            async def compute() -> bytes:
                return compute_again

            assert await cache.answer(KEY, 1, compute, stale_ok=True) == (b"right", Origin.COMPUTED)
            await written(cache)
            assert await cache.answer(KEY, 1, never, stale_ok=True) == (b"right", Origin.CACHED)
        assert cache.breaker is not None
        assert cache.breaker.opened == 0


@in_uvloop
async def test_a_key_that_holds_no_hash_is_replaced(redis_server: RedisServer) -> None:
    async with cache_at(redis_server.unix_url, max_bytes=0) as cache:
        with direct(redis_server) as redis:
            redis.set(NAME, "somebody's string")
        assert await cache.look(KEY, 1) is None
        assert (cache.statistics.garbage, cache.statistics.errors) == (1, 0)
        await stored(cache, KEY, 1, b"refused, but clears the way")
        await stored(cache, KEY, 1, b"right")
        found = await cache.look(KEY, 1)
        assert found is not None
        assert found.payload == b"right"


@pytest.mark.parametrize("eviction", ["noeviction", "allkeys-lru"])
@in_uvloop
async def test_a_full_redis_means_misses_and_no_errors(redis_server: RedisServer, eviction: str) -> None:
    async def compute() -> bytes:
        return bytes(4600)

    with direct(redis_server) as redis:
        redis.config_set("maxmemory-policy", eviction)
        redis.config_set("maxmemory", "5mb")
        try:
            async with cache_at(redis_server.unix_url, max_bytes=0) as cache:
                keys = [replace(KEY, user_id=f"user-{number}") for number in range(1300)]
                for key in keys:
                    payload, origin = await cache.answer(key, 1, compute, stale_ok=False)
                    assert (payload, origin) == (bytes(4600), Origin.COMPUTED)
                await written(cache)
                found = [await cache.look(key, 1) for key in keys]
                n_found = sum(entry is not None for entry in found)
                assert 100 < n_found < 1200
                assert all(entry.payload == bytes(4600) for entry in found if entry is not None)
                assert (cache.statistics.errors > 0) == (eviction == "noeviction")
                assert cache.breaker is not None
                assert cache.breaker.opened == 0, "a full Redis still answers"
            assert redis.info("memory")["used_memory"] < 6 * 2**20
        finally:
            redis.config_set("maxmemory-policy", "noeviction")


SECRET = "s3cr3t/of#ours"  # noqa: S105 - of no server


@in_uvloop
async def test_the_password_appears_nowhere(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with direct(redis_server) as redis:
        redis.acl_setuser("app", enabled=True, passwords=["+right"], keys=["*"], commands=["+@all"])
        try:
            async with cache_at(f"redis://app:{SECRET[:6]}@127.0.0.1:{redis_server.port}/0") as cache:
                for number in range(4):
                    assert await cache.look(replace(KEY, user_id=str(number)), 1) is None
                assert cache.breaker is not None
                assert cache.breaker.opened == 1, "a refused log-in is an outage"
                assert cache.statistics.errors == 3
                shown = caplog.text + repr(cache) + repr(cache._redis) + repr(cache.statistics)
            assert "AuthenticationError" in caplog.text
            assert SECRET[:6] not in shown
            async with cache_at(f"redis://app:right@127.0.0.1:{redis_server.port}/0") as cache:
                await stored(cache, KEY, 1, b"x")
                assert cache.statistics.errors == 0
        finally:
            redis.acl_deluser("app")


@in_uvloop
async def test_a_user_without_scripting_keys_and_config_will_do(redis_server: RedisServer) -> None:
    with direct(redis_server) as redis:
        allowed = ["hget", "hset", "expire", "hlen", "del", "multi", "exec", "ping", "select"]
        commands = ["-@all", *(f"+{command}" for command in allowed)]
        redis.acl_setuser("narrow", enabled=True, nopass=True, keys=["audotics:*"], commands=commands)
        try:
            url = f"redis://narrow:any@127.0.0.1:{redis_server.port}/3"
            async with cache_at(url, max_bytes=0) as cache:
                await stored(cache, KEY, 1, b"x")
                assert await cache.look(KEY, 1) is not None
                assert await cache.forget(KEY.user_id)
                assert cache.statistics.errors == 0
            async with cache_at(url, prefix="forbidden", max_bytes=0) as cache:
                await stored(cache, KEY, 1, b"x")
                assert await cache.look(KEY, 1) is None
                assert (cache.statistics.errors, cache.statistics.garbage) == (2, 0)
        finally:
            redis.acl_deluser("narrow")


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"redis://:{SECRET}@127.0.0.1:port",
        f"http://:{SECRET}@127.0.0.1",
        f"127.0.0.1:6379?password={SECRET}",
        f"unix:///run/redis.sock?db=first&password={SECRET}",
        f"redis://127.0.0.1?no_such_option={SECRET}",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(BadInputError, match="redis_url: is not the address of a Redis server") as caught:
        CacheManager(redis_url=url)
    assert SECRET[:6] not in f"{caught.value!s}{caught.value!r}"
    assert caught.value.__suppress_context__


@in_uvloop
async def test_options_in_the_address_do_not_lift_the_time_outs(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}?socket_timeout=30&socket_connect_timeout=30&protocol=3"
    async with cache_at(url, timeout_s=0.03) as cache:
        redis_server.pause()
        begun = asyncio.get_running_loop().time()
        assert await cache.look(KEY, 1) is None
        assert asyncio.get_running_loop().time() - begun < 1.0
        redis_server.resume()


@in_uvloop
async def test_connections_are_few_and_used_again(redis_server: RedisServer) -> None:
    async with (
        SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket, 0.002) as proxy,
        cache_at(proxy.url, max_bytes=0) as cache,
    ):
        for _ in range(3):
            await asyncio.gather(*(cache.look(replace(KEY, user_id=str(n)), 1) for n in range(40)))
        assert proxy.n_connections == 8
        assert cache.statistics.errors == 0
        assert cache.statistics.misses == 120
