from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.errors import BadInputError, OverloadedError, UnavailableError
from audotics.resilience import Admission


def test_places_are_taken_and_given_back() -> None:
    admission = Admission(2)
    assert admission.enter()
    assert admission.enter()
    assert not admission.enter()
    assert (admission.in_flight, admission.refused) == (2, 1)
    admission.leave()
    assert admission.enter()
    assert (admission.in_flight, admission.refused) == (2, 1)


def test_a_block_gives_its_place_back_even_when_it_fails() -> None:
    admission = Admission(1)
    with pytest.raises(ZeroDivisionError), admission:
        assert admission.in_flight == 1
        raise ZeroDivisionError
    assert admission.in_flight == 0


def test_a_block_without_a_place_does_not_run() -> None:
    admission = Admission(1)
    with admission:
        with pytest.raises(OverloadedError, match="1 computations are under way"), admission:
            pytest.fail("ran beyond the limit")
        assert admission.in_flight == 1
    assert (admission.in_flight, admission.refused) == (0, 1)
    assert issubclass(OverloadedError, UnavailableError)


def test_leaving_without_entering_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="nobody had taken"):
        Admission(1).leave()


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(BadInputError, match=f"at least one place is needed, not {limit}"):
        Admission(limit)


def test_threads_never_exceed_the_limit_together() -> None:
    admission = Admission(3)
    inside, most = 0, 0
    counting = threading.Lock()
    together = threading.Barrier(8)

    def work() -> int:
        nonlocal inside, most
        entered = 0
        together.wait()
        for _ in range(2000):
            if not admission.enter():
                continue
            entered += 1
            with counting:
                inside += 1
                most = max(most, inside)
            with counting:
                inside -= 1
            admission.leave()
        return entered

    with ThreadPoolExecutor(8) as pool:
        entered = sum(done.result() for done in [pool.submit(work) for _ in range(8)])
    assert most <= 3
    assert admission.in_flight == 0
    assert entered + admission.refused == 8 * 2000
