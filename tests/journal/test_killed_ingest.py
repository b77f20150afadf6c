"""kill -9 at a random moment of ingestion: nothing acknowledged is lost, a resend doubles nothing."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audotics.journal import EventJournal, JournalEvent, open_engine

# Imports once, then forks an ingester per line read, so that a kill costs milliseconds.
NURSERY = """
import itertools, os, sys
from threading import Thread
from audotics.journal import EventJournal, GroupCommitter, JournalEvent, open_engine

url, sent, acknowledged = sys.argv[1:]
log = os.O_CREAT | os.O_WRONLY | os.O_APPEND
to_sent, to_acknowledged = os.open(sent, log), os.open(acknowledged, log)
for line in sys.stdin:
    life = line.strip()
    child = os.fork()
    if child == 0:
        committer = GroupCommitter(EventJournal(open_engine(url, timeout_s=30)))

        def ingest(thread):
            for n in itertools.count():
                batch = [f"{life}-{thread}-{n}-{i}" for i in range(1 + n % 7)]
                os.write(to_sent, f"{batch[0]} {len(batch)}\\n".encode())
                committer.submit([JournalEvent(one, "u", "t", n) for one in batch]).result()
                os.write(to_acknowledged, f"{batch[0]} {len(batch)}\\n".encode())

        threads = [Thread(target=ingest, args=(thread,)) for thread in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def ids_in(log: Path) -> list[str]:
    """Ids of the batches noted line by line; one write per line, so no line is torn."""
    ids = []
    for line in log.read_text().splitlines():
        first, size = line.split()
        stem = first.rpartition("-")[0]
        ids += [f"{stem}-{i}" for i in range(int(size))]
    return ids


@pytest.mark.parametrize("n_kills", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_acknowledged_means_kept_and_a_resend_doubles_nothing(tmp_path: Path, n_kills: int):
    url = f"sqlite:///{tmp_path}/journal.db"
    journal = EventJournal(open_engine(url, timeout_s=30))
    sent, acknowledged = tmp_path / "sent", tmp_path / "acknowledged"
    rng = random.Random(n_kills)  # noqa: S311
    longest_s, n_seen = 0.1, 0
    command = [sys.executable, "-c", NURSERY, url, str(sent), str(acknowledged)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for life in range(n_kills):
            print(life, file=nursery.stdin, flush=True)
            child = int(nursery.stdout.readline())
            time.sleep(rng.uniform(0, longest_s))
            os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
            n_now = journal.last_seq()
            # A slow or busy disk needs longer to get an event in, a fast one takes many.
            longest_s *= 0.9 if n_now > n_seen else 1.3
            n_seen = n_now
        nursery.stdin.close()

    stored = [one.event.event_id for one in journal.after(0, limit=10_000_000)]
    promised = set(ids_in(acknowledged))
    assert len(promised) > n_kills, "ingestion got somewhere between the kills"
    assert promised <= set(stored), "every acknowledged event is there"
    everything = ids_in(sent)
    assert len(everything) > len(promised), "and was interrupted while at it"
    journal.append([JournalEvent(one, "u", "t", 0) for one in everything])
    stored = [one.event.event_id for one in journal.after(0, limit=10_000_000)]
    assert sorted(stored) == sorted(everything), "and nothing is there twice"
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
