import threading
import time

import pytest

from audotics.resilience import Lookout


@pytest.fixture
def looks():
    return threading.Semaphore(0)


def test_it_looks_regularly_until_it_is_stopped(looks):
    lookout = Lookout("regular", looks.release, every_s=0.005)
    lookout.start()
    assert all(looks.acquire(timeout=5) for _ in range(3))
    lookout.stop()
    while looks.acquire(blocking=False):
        pass
    assert not looks.acquire(timeout=0.05)


def test_it_looks_at_once_when_woken(looks):
    lookout = Lookout("woken", looks.release, every_s=3600)
    lookout.start()
    assert not looks.acquire(timeout=0.05)
    lookout.wake()
    assert looks.acquire(timeout=5)
    lookout.stop()


def test_a_look_that_fails_is_logged_and_the_next_one_comes(looks, caplog):
    def look():
        looks.release()
        raise ValueError("blind")

    lookout = Lookout("failing", look, every_s=0.005)
    lookout.start()
    assert all(looks.acquire(timeout=5) for _ in range(2))
    lookout.stop()
    assert "failing: a look failed" in caplog.text
    assert "blind" in caplog.text


def test_a_rest_ends_with_the_lookout(looks):
    def look():
        looks.release()
        lookout.rest(3600)

    lookout = Lookout("resting", look, every_s=0.005)
    lookout.start()
    assert looks.acquire(timeout=5)
    started = time.monotonic()
    lookout.stop()
    assert time.monotonic() - started < 4


def test_one_that_never_began_can_be_stopped(looks):
    Lookout("idle", looks.release, every_s=0.005).stop()
