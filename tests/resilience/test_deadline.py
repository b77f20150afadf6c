from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from audotics.resilience import Deadline
from contract.clocks import Clock

SECONDS = st.floats(0, 1e6)


def test_time_runs_out() -> None:
    clock = Clock(100.0)
    deadline = Deadline.after(0.5, clock)
    assert deadline.remaining() == 0.5
    assert not deadline.expired
    clock.advance(0.25)
    assert deadline.remaining() == 0.25
    assert repr(deadline) == "Deadline(0.250 s left)"
    clock.advance(0.25)
    assert deadline.expired
    assert deadline.remaining() == 0.0
    clock.advance(1000.0)
    assert deadline.remaining() == 0.0
    assert deadline.expired


def test_a_time_out_is_clipped_to_what_is_left() -> None:
    clock = Clock()
    deadline = Deadline.after(1.0, clock)
    assert deadline.clipped(0.2) == 0.2
    assert deadline.clipped(5.0) == 1.0
    clock.advance(0.9)
    assert 0.0 < deadline.clipped(0.2) < 0.11
    clock.advance(0.2)
    assert deadline.clipped(0.2) == 0.0


@given(SECONDS, SECONDS, SECONDS)
def test_nothing_is_ever_below_zero_or_beyond_what_was_asked(
    given_s: float, passed: float, timeout: float
) -> None:
    clock = Clock()
    deadline = Deadline.after(given_s, clock)
    clock.advance(passed)
    assert 0.0 <= deadline.remaining() <= given_s
    assert 0.0 <= deadline.clipped(timeout) <= timeout
    assert deadline.expired == (deadline.remaining() == 0.0)


def test_by_default_it_follows_the_monotonic_clock() -> None:
    deadline = Deadline.after(0.02)
    assert not deadline.expired
    time.sleep(0.03)
    assert deadline.expired
