"""Redis and the journal fail under load: recommendations go on, and all is well again without a restart.

Faults of TensorFlow Serving belong into a file beside this one, with the stand-in of `contract.tf_serving`.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from contract.audotics_server import AudoticsServer
from contract.load import Outcome, scaled, under_load
from contract.services import RedisServer, wait_until
from contract.slow_proxy import SlowProxy

DEADLINE_S = 0.1
"""Of an answer on a machine of our own; with neighbours longer in proportion."""

PER_SECOND = 40
LASTS_S = 1.5


def is_well(server: AudoticsServer) -> bool:
    return server.get("/health/ready")[1].get("status") == "ok"


def in_time(start_server, models, **settings: object) -> AudoticsServer:
    return start_server(models, deadline_ms=1e3 * scaled(DEADLINE_S), **settings)


def weathered(
    server: AudoticsServer, begin: Callable[[], object], end: Callable[[], object], lasts_s: float = LASTS_S
) -> tuple[Outcome, float]:
    """Recommendations before, during and after a fault; seconds until the server called itself well again.

    No round may have a failure. One in time is enough: neighbours on the machine disturb some, a fault all.
    """
    for _ in range(3):
        with under_load(server.port, PER_SECOND) as load:
            time.sleep(0.5)
            begin()
            time.sleep(lasts_s)
            end()
            ended = time.monotonic()
            wait_until(lambda: is_well(server), "the server recovers")
            recovered_s = time.monotonic() - ended
            time.sleep(0.3)
        outcome = load.outcome
        assert outcome.failed == 0, outcome.counts()
        assert set(outcome.statuses) == {200}, outcome.counts()
        if is_in_time(outcome, server):
            break
    return outcome, recovered_s


def is_in_time(outcome: Outcome, server: AudoticsServer) -> bool:
    return outcome.quantile_ms(0.99) <= float(server.settings["deadline_ms"]) + 1e3 * scaled(0.01)


@pytest.mark.parametrize("fault", ["killed", "hung"])
def test_redis_fails(start_server, models, redis_server: RedisServer, fault_counts, fault: str):
    server = in_time(start_server, models, redis_url=redis_server.url)
    begin, end = {
        "killed": (redis_server.stop, redis_server.start),
        "hung": (redis_server.pause, redis_server.resume),
    }[fault]
    outcome, recovered_s = weathered(server, begin, end)
    fault_counts(f"Redis {fault}", outcome.counts() | {"recovered_s": round(recovered_s, 1)})
    assert is_in_time(outcome, server), outcome.counts()
    assert outcome.rungs["personalised"] >= 0.95 * outcome.total


@contextmanager
def proxy_before(redis: RedisServer, folder: Path) -> Iterator[SlowProxy]:
    """A proxy on a thread of its own."""
    proxy = SlowProxy(folder / "slow.sock", redis.unix_socket)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(5)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


@pytest.mark.slow
def test_redis_is_slow(start_server, models, redis_server: RedisServer, tmp_path: Path, fault_counts):
    with proxy_before(redis_server, tmp_path) as proxy:
        server = in_time(start_server, models, redis_url=proxy.url)

        def delay(seconds: float) -> Callable[[], None]:
            return lambda: setattr(proxy, "delay_s", seconds)

        outcome, recovered_s = weathered(server, delay(0.08), delay(0.0))
        server.stop()
    fault_counts("Redis answers 80 ms late", outcome.counts() | {"recovered_s": round(recovered_s, 1)})
    assert is_in_time(outcome, server), outcome.counts()


class Told:
    """Events sent one by one, and those that were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()

    def say(self, number: int) -> tuple[str, str, bytes]:
        event = {
            "event_id": f"e{number}",
            "user_id": f"teller-{number % 7}",
            "track_id": f"t{number % 90:03d}",
        }
        return "POST", "/v1/events", json.dumps(event).encode()

    def check(self, number: int, said: dict[str, object]) -> str:
        if said.get("accepted") == 1 or said.get("duplicates") == 1:
            self.acknowledged.add(f"e{number}")
        return ""


def journal_fault(
    server: AudoticsServer, begin: Callable[[], object], end: Callable[[], object], lasts_s: float = LASTS_S
) -> tuple[Outcome, Outcome, Told, float]:
    """Recommendations and events under a fault of the journal."""
    told = Told()
    with under_load(server.port, 20, told.say, told.check) as telling:
        outcome, recovered_s = weathered(server, begin, end, lasts_s)
    return outcome, telling.outcome, told, recovered_s


def check_events(telling: Outcome, told: Told, kept: set[str]) -> None:
    assert set(telling.statuses) <= {200, 503, 507}, telling.counts()
    assert telling.statuses[200], telling.counts()
    assert telling.quantile_ms(1.0) <= 1e3 * scaled(3.0), telling.counts()
    assert len(told.acknowledged) == telling.statuses[200]
    assert told.acknowledged <= kept, "an acknowledged event is lost"


def event_counts(telling: Outcome, told: Told, kept: set[str]) -> dict[str, object]:
    return {
        "events": telling.total,
        "events_statuses": {str(status): n for status, n in sorted(telling.statuses.items())},
        "events_p99_ms": round(telling.quantile_ms(0.99), 1),
        "false_acknowledgements": len(told.acknowledged - kept),
    }


def kept_in_sqlite(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {event_id for (event_id,) in connection.execute("SELECT event_id FROM audotics_events")}


def test_sqlite_is_locked(start_server, models, fault_counts):
    server = in_time(start_server, models)
    path = server.folder / "journal.db"
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other:
        outcome, telling, told, recovered_s = journal_fault(
            server, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK")
        )
    kept = kept_in_sqlite(path)
    counts = outcome.counts() | event_counts(telling, told, kept) | {"recovered_s": round(recovered_s, 1)}
    fault_counts("SQLite locked by another writer", counts)
    assert is_in_time(outcome, server), outcome.counts()
    check_events(telling, told, kept)
    assert telling.statuses[503], "the lock was felt"


def test_no_room_for_the_journal(start_server, models, fault_counts):
    """No file of the server may grow, as on a full disk; its log stays short."""
    server = in_time(start_server, models)

    def limit(size: int) -> Callable[[], object]:
        hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)[1]
        return lambda: resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))

    outcome, telling, told, recovered_s = journal_fault(server, limit(8192), limit(resource.RLIM_INFINITY))
    kept = kept_in_sqlite(server.folder / "journal.db")
    counts = outcome.counts() | event_counts(telling, told, kept) | {"recovered_s": round(recovered_s, 1)}
    fault_counts("no file of the server may grow", counts)
    assert is_in_time(outcome, server), outcome.counts()
    check_events(telling, told, kept)
    assert telling.statuses[503] + telling.statuses[507], "the limit was felt"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"only root can mount a small disk ({mounted.stderr.strip()})")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_the_disk_of_the_journal_is_full(start_server, models, small_disk: Path, fault_counts):
    server = in_time(start_server, models, database_url=f"sqlite:///{small_disk / 'journal.db'}")
    filler = small_disk / "filler"

    def fill() -> None:
        try:
            with filler.open("wb") as file:
                while True:
                    file.write(b"x" * 4096)
        except OSError:
            pass  # full

    outcome, telling, told, recovered_s = journal_fault(server, fill, filler.unlink)
    kept = kept_in_sqlite(small_disk / "journal.db")
    counts = outcome.counts() | event_counts(telling, told, kept) | {"recovered_s": round(recovered_s, 1)}
    fault_counts("disk of the journal full", counts)
    assert is_in_time(outcome, server), outcome.counts()
    check_events(telling, told, kept)
    assert telling.statuses[507], "the disk was full"
    server.stop()


def kept_in_postgresql(url: str) -> set[str]:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return {
            event_id for (event_id,) in connection.execute("SELECT event_id FROM audotics_events").fetchall()
        }


def signal_family(pid: int, number: int) -> None:
    """PostgreSQL answers from a process for each connection."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(one, number)


@pytest.mark.parametrize("fault", ["stopped", pytest.param("hung", marks=pytest.mark.slow)])
def test_postgresql_fails(start_server, models, postgresql_server, postgresql: str, fault_counts, fault: str):
    server = in_time(start_server, models, database_url=postgresql)
    pid = postgresql_server.pid
    begin, end, lasts_s = {
        "stopped": (postgresql_server.stop, postgresql_server.start, LASTS_S),
        "hung": (lambda: signal_family(pid, signal.SIGSTOP), lambda: signal_family(pid, signal.SIGCONT), 4.0),
    }[fault]
    outcome, telling, told, recovered_s = journal_fault(server, begin, end, lasts_s)
    kept = kept_in_postgresql(postgresql)
    counts = outcome.counts() | event_counts(telling, told, kept) | {"recovered_s": round(recovered_s, 1)}
    fault_counts(f"PostgreSQL {fault}", counts)
    assert is_in_time(outcome, server), outcome.counts()
    check_events(telling, told, kept)


def test_a_server_starts_without_its_database_and_finds_it_later(
    start_server, models, postgresql_server, postgresql: str, fault_counts
):
    postgresql_server.stop()
    server = start_server(models, database_url=postgresql, deadline_ms=5000)
    status, said = server.get("/v1/users/u001/recommendations")
    assert (status, said["rung"]) == (200, "personalised")
    assert server.get("/health/ready")[1]["status"] == "degraded"
    postgresql_server.start()
    wait_until(lambda: is_well(server), "the server recovers")
