"""One retraining at a time, in SQLite and in PostgreSQL; a dead holder's lease ends by itself."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from audotics.errors import UnavailableError
from audotics.journal.engine import open_engine, writing
from audotics.lifecycle.lease import HeldError, Lease, leases

HOLDER = """
import sys, time
from audotics.journal.engine import open_engine
from audotics.lifecycle.lease import Lease

with Lease(open_engine(sys.argv[1], timeout_s=5), life_s=float(sys.argv[2])).held():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'journal.db'}"
    else:
        url = request.getfixturevalue("postgresql")
    engine = open_engine(url, timeout_s=5)
    yield engine
    engine.dispose()


def test_only_one_holds_it_and_the_others_learn_who(engine: Engine):
    with Lease(engine).held() as lease:
        lease.check()
        with pytest.raises(HeldError, match=f"process {os.getpid()} is retraining"), Lease(engine).held():
            pass
        holder = lease.holder()
        assert holder is not None
        assert str(os.getpid()) in holder.owner
    assert Lease(engine).holder() is None
    with Lease(engine).held():
        pass


def test_two_things_are_leased_apart(engine: Engine):
    with Lease(engine, "one").held(), Lease(engine, "other").held():
        pass


def test_of_many_who_try_at_once_one_has_it_at_a_time(engine: Engine):
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with Lease(engine).held(wait_s=20):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1, 1, 1]


def test_signs_of_life_keep_it_longer_than_a_life(engine: Engine):
    with Lease(engine, life_s=0.6).held() as lease:
        time.sleep(1.5)
        lease.check()
        with pytest.raises(HeldError), Lease(engine).held():
            pass


def test_a_killed_holders_lease_ends(engine: Engine):
    url = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, "2"], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HeldError, match=f"process {holder.pid}"), Lease(engine).held():
            pass
        os.kill(holder.pid, signal.SIGKILL)
    started = time.monotonic()
    with Lease(engine).held(wait_s=20):
        assert time.monotonic() - started < 10


def test_a_holder_that_lost_it_is_told_before_it_does_harm(engine: Engine):
    with Lease(engine, life_s=1.5).held() as lease:
        with writing(engine) as connection:
            connection.execute(delete(leases))
        time.sleep(1)
        with pytest.raises(UnavailableError, match="lost"):
            lease.check()
        with pytest.raises(UnavailableError, match="lost"):
            lease.check()


def test_waiting_can_be_given_up(engine: Engine):
    with Lease(engine).held(), pytest.raises(HeldError), Lease(engine).held(wait_s=60, give_up=lambda: True):
        pass
