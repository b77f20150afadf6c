"""Load on a server, and what became of each request: open loops, which a slow server cannot slow down."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CONNECTIONS = 64
PATIENCE_S = 10.0

Say = Callable[[int], tuple[str, str, bytes]]
"""From the number of a request to method, path and body."""

Check = Callable[[int, dict[str, Any]], str]
"""From the number of a request and the answer to what is wrong with it; empty where nothing is."""


def scaled(seconds: float) -> float:
    """A time to hold, longer in proportion where more processes want to run than there are cores."""
    return seconds * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


@dataclass
class Outcome:
    """What became of the requests of a load."""

    statuses: Counter[int] = field(default_factory=Counter)
    """By status; 0 where no whole answer came."""
    refused: int = 0
    """Of the latter, those to a port where nobody listened."""
    seconds: list[float] = field(default_factory=list)
    """From when each request was due to its answer."""
    rungs: Counter[str] = field(default_factory=Counter)
    degraded: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Requests without an answer, or with one of 500 to 599."""
        return sum(n for status, n in self.statuses.items() if status == 0 or status >= 500)

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def counts(self) -> dict[str, object]:
        """For a table."""
        return {
            "requests": self.total,
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "failed": self.failed,
            "wrong": len(self.wrong),
            "p50_ms": round(self.quantile_ms(0.5), 1),
            "p99_ms": round(self.quantile_ms(0.99), 1),
            "rungs": dict(self.rungs),
            "degraded": dict(self.degraded),
        }


def recommendations(listeners: int = 90, k: int = 10) -> Say:
    """Ask for the planted listeners in turn; ``k`` changes, so that the cache does not answer everything."""
    return lambda n: (
        "GET",
        f"/v1/users/u{n % listeners:03d}/recommendations?k={k + n // listeners % 40}",
        b"",
    )


class Load:
    """Requests at a steady rate from a thread of its own, until stopped.

    Args:
        port: Of the server on the loopback.
        per_second: How many requests are due each second, whatever became of the earlier ones.
        say: What each asks.
        check: Looks at each answer of status 200.
        connections: So many requests at once; the others wait here, as in a client's pool.
    """

    def __init__(
        self,
        port: int,
        per_second: float,
        say: Say | None = None,
        check: Check = lambda _, __: "",
        connections: int = CONNECTIONS,
    ) -> None:
        self.outcome = Outcome()
        self._port = port
        self._per_second = per_second
        self._say = say or recommendations()
        self._check = check
        self._connections = connections
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def sent(self) -> int:
        return self.outcome.total

    def forget(self) -> None:
        """Count anew from here."""
        self.outcome = Outcome()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Outcome:
        """Send no more, wait for the answers under way."""
        self._stopped.set()
        self._thread.join(PATIENCE_S + 10)
        assert not self._thread.is_alive()
        return self.outcome

    async def _run(self) -> None:
        self._free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        for _ in range(self._connections):
            connection = _Connection(self._port)
            # Beforehand: uvloop accepts one connection in a round, so under overload new ones wait long.
            await connection.open()
            self._free.put_nowait(connection)
        under_way: set[asyncio.Task[None]] = set()
        began, number = time.perf_counter(), 0
        while not self._stopped.is_set():
            due = began + number / self._per_second
            late = due - time.perf_counter()
            if late > 0:
                await asyncio.sleep(late)
            task = asyncio.create_task(self._one(number, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way)
        while not self._free.empty():
            self._free.get_nowait().hang_up()

    async def _one(self, number: int, due: float) -> None:
        outcome = self.outcome
        method, path, body = self._say(number)
        connection = await self._free.get()
        try:
            status, answer = await asyncio.wait_for(connection.ask(method, path, body), PATIENCE_S)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            connection.hang_up()
            outcome.refused += isinstance(error, ConnectionRefusedError)
            status, answer = 0, b""
        self._free.put_nowait(connection)
        outcome.statuses[status] += 1
        outcome.seconds.append(time.perf_counter() - due)
        if status == 200:
            said = json.loads(answer)
            if "rung" in said:
                outcome.rungs[said["rung"]] += 1
                outcome.versions[said["model_version"]] += 1
                outcome.degraded.update(said["degraded"])
            wrong = self._check(number, said)
            if wrong:
                outcome.wrong.append(wrong)


@contextmanager
def under_load(
    port: int,
    per_second: float,
    say: Say | None = None,
    check: Check = lambda _, __: "",
    connections: int = CONNECTIONS,
) -> Iterator[Load]:
    """A load for the time of a block."""
    load = Load(port, per_second, say, check, connections)
    load.start()
    try:
        yield load
    finally:
        load.stop()


class _Connection:
    """HTTP/1.1 with keep-alive; opened again after it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        used_before = self._streams is not None
        try:
            return await self._ask(method, path, body)
        except (OSError, EOFError):
            # Whoever keeps connections must expect that the other side has just closed one.
            if not used_before:
                raise
        self.hang_up()
        return await self._ask(method, path, body)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        reader, writer = await self.open()
        head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        answer = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.hang_up()
        return int(lines[0].split()[1]), answer

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
