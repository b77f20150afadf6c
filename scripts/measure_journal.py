"""How many events per second become durable, beside a bare sqlite3 loop that writes the same rows.

    python scripts/measure_journal.py [--folder FOLDER] [--postgresql URL] [--filled N]

FOLDER lies on the disk to be measured. URL is an empty database, such as
postgresql+psycopg://postgres@127.0.0.1/empty. With --filled the journal holds N events before it is measured.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from audotics.journal import EventJournal, GroupCommitter, JournalEvent, open_engine

Batch = list[JournalEvent]
Submit = Callable[[Batch], object]

N_USERS = 100_000
N_TRACKS = 100_000
SECONDS_US = 1_000_000

_number = itertools.count()


def new_batches(n_batches: int, size: int) -> list[Batch]:
    """Events of about 200 bytes by many listeners, with random ids."""

    def one() -> JournalEvent:
        i = next(_number)
        return JournalEvent(
            event_id=str(uuid.uuid4()),
            user_id=f"listener-{i * 7919 % N_USERS}",
            track_id=f"track-{i * 104_729 % N_TRACKS}",
            at_us=1_700_000_000 * SECONDS_US + i * SECONDS_US,
            ms_played=180_000,
            session_id=f"session-{i // 20}",
            device="phone",
            country="SE",
            request_id=str(uuid.uuid4()),
        )

    return [[one() for _ in range(size)] for _ in range(n_batches)]


def run(title: str, submit: Submit, batches: Sequence[Batch], n_threads: int, per: str = "events") -> float:
    """Submit the batches from some threads, each waiting for its own; prints and returns the rate."""
    shares = [batches[start::n_threads] for start in range(n_threads)]
    threads = [Thread(target=lambda share: [submit(batch) for batch in share], args=(s,)) for s in shares]
    processor, started = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    n_events = sum(map(len, batches))
    rate = n_events / seconds
    print(f"{title:<52} {rate:>9,.0f} {per}/s {1e6 * processor / n_events:>7.1f} us of processor per event")
    return rate


def bare(path: Path) -> tuple[Submit, sqlite3.Connection]:
    """One table with the same keys, one thread, one transaction for each batch, WAL and FULL."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE events (event_id TEXT UNIQUE, user_id TEXT, track_id TEXT, at_us INTEGER, event TEXT, "
        "ms_played INTEGER, session_id TEXT, device TEXT, country TEXT, request_id TEXT)",
        "CREATE INDEX of_listener ON events (user_id, at_us)",
    ):
        connection.execute(statement)

    def submit(batch: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(e.event_id, e.user_id, e.track_id, e.at_us, e.event, e.ms_played, e.session_id),
                    *(e.device, e.country, e.request_id),
                )
                for e in batch
            ],
        )
        connection.execute("COMMIT")

    return submit, connection


def measure(name: str, journal: EventJournal, n_batches: int, n_single: int) -> tuple[float, float]:
    """Batches of 100 and single events, directly and through the committer; the committer's rates."""
    run(f"{name}, append, batches of 100", journal.append, new_batches(n_batches, 100), 1)
    run(f"{name}, append, one at a time", journal.append, new_batches(n_single, 1), 1)
    committer = GroupCommitter(journal)
    submit: Submit = lambda batch: committer.submit(batch).result()  # noqa: E731
    batched = run(f"{name}, committer, batches of 100, 4 threads", submit, new_batches(n_batches, 100), 4)
    singly = 0.0
    for n_threads in (1, 4, 8, 32):
        title = f"{name}, committer, singly, {n_threads} in flight"
        rate = run(title, submit, new_batches(n_single, 1), n_threads, "requests")
        singly = rate if n_threads == 8 else singly
    committer.close()
    return batched, singly


def measure_reading(name: str, journal: EventJournal) -> None:
    """One listener's past, and everything for training."""
    journal.append([JournalEvent(f"past-{name}-{i}", "one listener", "t", i) for i in range(600)])
    for limit in (50, 500):
        started = time.perf_counter()
        for _ in range(50):
            journal.of_listener("one listener", limit)
        seconds = (time.perf_counter() - started) / 50
        print(f"{name + f', newest {limit} events of a listener':<52} {seconds * 1e6:>9,.0f} us")
    started = time.perf_counter()
    n_rows = sum(len(frame) for frame in journal.frames())
    print(f"{name + ', frames':<52} {n_rows / (time.perf_counter() - started):>9,.0f} rows/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--postgresql", default=os.environ.get("AUDOTICS_DATABASE_URL"))
    parser.add_argument("--filled", type=int, default=0)
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument("--single", type=int, default=2000)
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as folder:
        submit, connection = bare(Path(folder) / "bare.db")
        for _ in range(given.filled // 10_000):
            submit(new_batches(1, 10_000)[0])
        floor = run("bare sqlite3, batches of 100", submit, new_batches(given.batches, 100), 1)
        floor_singly = run("bare sqlite3, one at a time", submit, new_batches(given.single, 1), 1)
        connection.close()
        urls = {"SQLite": f"sqlite:///{folder}/journal.db"}
        urls |= {"PostgreSQL": given.postgresql} if given.postgresql else {}
        for name, url in urls.items():
            engine = open_engine(url, timeout_s=5.0)
            journal = EventJournal(engine)
            for _ in range(given.filled // 10_000):
                journal.append(new_batches(1, 10_000)[0])
            batched, singly = measure(name, journal, given.batches, given.single)
            print(
                f"{name}: batches {batched / floor:.2f} of bare, 8 singly {singly / floor_singly:.2f} of bare"
            )
            measure_reading(name, journal)
            engine.dispose()


if __name__ == "__main__":
    main()
