import threading
import time

import pytest

from audotics.journal.gathering import Gathering


class Handler:
    """Keeps the groups it is given; waits in each while it is held."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()

    def __call__(self, group: list[str]) -> None:
        self.busy.set()
        assert self.free.wait(10)
        self.groups.append(group)
        self.busy.clear()


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def make_gathering(handler):
    made = []

    def make(**settings: float) -> Gathering[str]:
        given = {"most_in_group": 10, "max_wait_s": 60.0, "max_pending": 100, **settings}
        made.append(Gathering(handler, name="test", **given))
        return made[-1]

    yield make
    handler.free.set()
    for gathering in made:
        gathering.close()


def hold(gathering, handler) -> None:
    """Let the thread hang in a group of one."""
    handler.free.clear()
    assert gathering.offer("held", gathering._most_in_group)
    assert handler.busy.wait(10)


def test_a_group_is_handled_when_it_is_full(make_gathering, handler):
    gathering = make_gathering(most_in_group=3)
    for item in "abc":
        assert gathering.offer(item)
    gathering.drain()
    assert handler.groups == [["a", "b", "c"]]


def test_the_oldest_item_waits_no_longer_than_told(make_gathering, handler):
    gathering = make_gathering(max_wait_s=0.05)
    started = time.monotonic()
    gathering.offer("a")
    while not handler.groups and time.monotonic() - started < 10:
        time.sleep(0.001)
    assert handler.groups == [["a"]]
    assert time.monotonic() - started >= 0.05


def test_what_arrives_while_a_group_is_handled_becomes_the_next(make_gathering, handler):
    gathering = make_gathering(max_wait_s=0)
    hold(gathering, handler)
    for item in "abcd":
        gathering.offer(item)
    handler.free.set()
    gathering.drain()
    assert handler.groups == [["held"], ["a", "b", "c", "d"]]


def test_groups_are_cut_by_weight_and_a_heavy_item_stands_alone(make_gathering, handler):
    gathering = make_gathering(max_wait_s=0, max_pending=1000)
    hold(gathering, handler)
    for item, weight in (("a", 6), ("b", 4), ("c", 1), ("heavy", 50), ("d", 1)):
        assert gathering.offer(item, weight)
    handler.free.set()
    gathering.drain()
    assert handler.groups[1:] == [["a", "b"], ["c"], ["heavy"], ["d"]]


def test_more_than_may_be_pending_is_refused_at_once(make_gathering, handler):
    gathering = make_gathering(max_pending=14)
    hold(gathering, handler)
    assert gathering.offer("a", 4)
    assert gathering.pending == 14
    started = time.monotonic()
    assert not gathering.offer("b")
    assert time.monotonic() - started < 1
    handler.free.set()
    gathering.drain()
    assert gathering.pending == 0
    assert gathering.offer("b")


def test_what_alone_is_heavier_than_the_limit_passes_alone(make_gathering, handler):
    gathering = make_gathering(max_pending=5, max_wait_s=0)
    assert gathering.offer("heavy", 50)
    assert not gathering.offer("light")
    gathering.drain()
    assert gathering.offer("light")


def test_draining_does_not_wait_for_company(make_gathering, handler):
    gathering = make_gathering()
    gathering.offer("a")
    started = time.monotonic()
    gathering.drain()
    assert time.monotonic() - started < 10
    assert handler.groups == [["a"]]
    gathering.drain()


def test_closing_handles_what_was_accepted_and_refuses_the_rest(make_gathering, handler):
    gathering = make_gathering()
    hold(gathering, handler)
    for item in "abc":
        gathering.offer(item)
    closer = threading.Thread(target=gathering.close)
    closer.start()
    while not gathering.closed:
        time.sleep(0.001)
    assert not gathering.offer("late")
    handler.free.set()
    closer.join(10)
    assert not closer.is_alive()
    assert handler.groups == [["held"], ["a", "b", "c"]]
    gathering.close()


def test_nothing_is_lost_or_doubled_between_many_threads(make_gathering, handler):
    gathering = make_gathering(most_in_group=7, max_wait_s=0.0005, max_pending=100_000)

    def offer(name: int) -> None:
        for n in range(500):
            assert gathering.offer(f"{name}-{n}")

    threads = [threading.Thread(target=offer, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gathering.drain()
    handled = [item for group in handler.groups for item in group]
    assert sorted(handled) == sorted(f"{name}-{n}" for name in range(4) for n in range(500))
    assert max(map(len, handler.groups)) <= 7
    for name in range(4):
        mine = [item for item in handled if item.startswith(f"{name}-")]
        assert mine == [f"{name}-{n}" for n in range(500)], "in the order of arrival"
