"""The shipped configuration of Redis: all that the cache does, and nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from audotics.serving import CacheKey, CacheManager, Origin
from contract.caches import written
from contract.deployment import DEPLOY
from contract.services import RedisServer, binary

KEY = CacheKey("user-1", "20261123T101500Z-3f2a", "a", "web|DE|18", "k=20")


class ShippedRedis(RedisServer):
    """redis-server as compose.yaml starts it, on a port of its own."""

    def _command(self) -> list[str]:
        shipped = str(DEPLOY / "redis.conf")
        return [binary("redis-server"), shipped, "--port", str(self.port), "--bind", "127.0.0.1"]


@pytest.fixture(scope="module")
def shipped_redis() -> Iterator[ShippedRedis]:
    with tempfile.TemporaryDirectory(prefix="audotics-test-") as folder:
        server = ShippedRedis(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


async def never() -> bytes:
    pytest.fail("computed what the cache has")


def test_the_cache_can_do_all_it_does(shipped_redis):
    async def use() -> None:
        one = CacheManager(redis_url=shipped_redis.url, timeout_s=10.0)
        two = CacheManager(redis_url=shipped_redis.url, timeout_s=10.0)
        await one.store(KEY, 1, b"kept")
        await written(one)
        assert await two.answer(KEY, 1, never, stale_ok=False) == (b"kept", Origin.CACHED)
        assert await one.forget(KEY.user_id)
        assert (await two.answer(KEY, 2, computed, stale_ok=False))[0] == b"new"
        await written(two)
        assert one.statistics.errors == two.statistics.errors == 0
        for cache in (one, two):
            await cache.close()

    async def computed() -> bytes:
        return b"new"

    asyncio.run(use())


@pytest.mark.parametrize(
    "command",
    [
        ("EVAL", "return 1", "0"),
        ("CONFIG", "SET", "dir", "/"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("MODULE", "LIST"),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("SHUTDOWN",),
    ],
    ids=lambda command: command[0],
)
def test_nobody_can_do_more(shipped_redis, command):
    with Redis(port=shipped_redis.port) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command)


def test_nothing_is_written_to_the_disk(shipped_redis):
    with Redis(port=shipped_redis.port) as client:
        client.hset("a", "b", "c")
    shipped_redis.stop()
    shipped_redis.start()
    assert sorted(path.name for path in shipped_redis.folder.iterdir()) == ["server.log"]
