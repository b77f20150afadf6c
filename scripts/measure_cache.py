"""What a lookup in the prediction cache costs, beside a bare dictionary and a bare redis.asyncio.

    python scripts/measure_cache.py

Starts a redis-server of its own on a unix socket. 4.6 KB answers of 10,000 listeners, one request at a time,
in uvloop, microseconds. What is compared takes turns, so that other work on the machine slows all of it.
The last lines are the same lookups, none found in this process, with Redis killed and with Redis hung.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvloop
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from audotics.serving import CacheKey, CacheManager

N_LISTENERS = 10_000
ANSWER = os.urandom(4600)
ROUNDS = 200
PER_ROUND = 50
TIMEOUT_S = 0.02
PATIENT_S = 5.0
"""While Redis is well: what a busy machine adds is no failure of it."""


@contextmanager
def redis_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis that keeps nothing; its address and its process."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise SystemExit("redis-server is not installed")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)  # noqa: S603 - found above
        try:
            while not socket.exists():
                time.sleep(0.01)
            yield f"unix://{socket}", process
        finally:
            process.kill()
            process.wait()


def key_of(number: int) -> CacheKey:
    """A key made anew for each request, as a server does."""
    return CacheKey(f"user-{number}", "20261123T101500Z-3f2a", "control", "mobile|DE|18", "0123456789abcdef")


async def seconds_of(ask: Callable[[int], Awaitable[object]], numbers: Iterator[int], n: int) -> list[float]:
    """Of `n` requests one after the other."""
    seconds = []
    for number in itertools.islice(numbers, n):
        begun = time.perf_counter()
        await ask(number)
        seconds.append(time.perf_counter() - begun)
    return seconds


async def in_turns(
    asked: dict[str, Callable[[int], Awaitable[object]]], settle: Callable[[], Awaitable[object]]
) -> dict[str, list[float]]:
    """Rounds of requests of each kind, in turns; what runs on in the background ends between them."""
    numbers = itertools.cycle(np.random.default_rng(0).permutation(N_LISTENERS).tolist())
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, ask in asked.items():
            seconds[name] += await seconds_of(ask, numbers, PER_ROUND)
            await settle()
    return seconds


def show(name: str, seconds: list[float], beside: list[float] | None = None) -> None:
    """Median and 99th percentile in microseconds, and the ratio of medians."""
    median, last = np.percentile(seconds, (50, 99)) * 1e6
    ratio = f"   {np.median(seconds) / np.median(beside):.2f} x bare" if beside else ""
    print(f"{name:<44} {median:8.1f} {last:8.1f}{ratio}")


def in_process(cache: CacheManager, bare: dict[CacheKey, bytes]) -> None:
    """`look_local` beside a dictionary, the making of the keys taken off both."""
    keys = [key_of(number) for number in range(N_LISTENERS)]
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, look in (
            ("dict", bare.get),
            ("look_local", lambda key: cache.look_local(key, 1)),
        ):
            begun = time.perf_counter()
            for key in keys:
                look(key)
            each = (time.perf_counter() - begun) / len(keys)
            best[name] = min(each, best.get(name, each))
    for name, each in best.items():
        print(f"{name + ' (best round)':<44} {each * 1e6:8.2f}")


async def main() -> None:
    """Print one line per measurement."""
    with redis_server() as (url, process):
        local = CacheManager()
        remote = CacheManager(redis_url=url, max_bytes=0, timeout_s=PATIENT_S)
        redis = Redis.from_url(
            url, socket_timeout=PATIENT_S, socket_connect_timeout=PATIENT_S, retry=Retry(NoBackoff(), 0)
        )
        for number in range(N_LISTENERS):
            await local.store(key_of(number), 1, ANSWER)
            await remote.store(key_of(number), 1, ANSWER)
            await redis.set(f"bare:{number}", ANSWER)
        in_process(local, {key_of(number): ANSWER for number in range(N_LISTENERS)})
        print(f"{'':<44} {'median':>8} {'99 %':>8}")
        asked = {
            "redis.asyncio get": lambda number: redis.get(f"bare:{number}"),
            "look, found in Redis": lambda number: remote.look(key_of(number), 1),
            "redis.asyncio set": lambda number: redis.set(f"bare:{number}", ANSWER, ex=86_400),
            "store (Redis in the background)": lambda number: remote.store(key_of(number), 1, ANSWER),
        }
        healthy = await in_turns(asked, lambda: asyncio.sleep(0.02))
        show("redis.asyncio get", healthy["redis.asyncio get"])
        show("look, found in Redis", healthy["look, found in Redis"], healthy["redis.asyncio get"])
        show("redis.asyncio set", healthy["redis.asyncio set"])
        show("store (Redis in the background)", healthy["store (Redis in the background)"])
        print(remote.statistics)
        await with_faults(url, process)
        await redis.aclose()
        await remote.close()


async def with_faults(url: str, process: subprocess.Popen[bytes]) -> None:
    """The same lookups while Redis hangs, and after it was killed."""
    cache = CacheManager(redis_url=url, max_bytes=0, timeout_s=TIMEOUT_S)
    numbers = itertools.cycle(range(N_LISTENERS))

    async def look(number: int) -> object:
        return await cache.look(key_of(number), 1)

    await seconds_of(look, numbers, 100)
    process.send_signal(signal.SIGSTOP)
    first = await seconds_of(look, numbers, 8)
    print("Redis hung, the first lookups, ms:", " ".join(f"{second * 1e3:.2f}" for second in first))
    show("look, Redis hung", await seconds_of(look, numbers, 20_000))
    process.send_signal(signal.SIGCONT)
    while await look(0) is None:
        await asyncio.sleep(0.01)
    process.kill()
    process.wait()
    show("look, Redis killed", await seconds_of(look, numbers, 20_000))
    await cache.close()


if __name__ == "__main__":
    uvloop.run(main())
