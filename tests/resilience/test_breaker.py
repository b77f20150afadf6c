from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from audotics.errors import BadInputError, OpenCircuitError, UnavailableError
from audotics.resilience import BreakerState, CircuitBreaker
from contract.clocks import Clock

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def breaker_with(clock: Clock, drawn: float = 1.0, failures: int = 3) -> CircuitBreaker:
    return CircuitBreaker("store", failures=failures, clock=clock, draw=lambda: drawn)


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert breaker.allows()
        breaker.failed()


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = breaker_with(Clock())
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state is CLOSED
    fail(breaker, 1)
    assert breaker.state is OPEN
    assert not breaker.allows()
    assert breaker.opened == 1


def test_one_probe_goes_through_after_the_pause_and_closes_it() -> None:
    clock = Clock()
    breaker = breaker_with(clock)
    fail(breaker, 3)
    clock.advance(0.999)
    assert not breaker.allows()
    clock.advance(0.002)
    assert [breaker.allows() for _ in range(5)] == [True, False, False, False, False]
    assert breaker.state is HALF_OPEN
    breaker.succeeded()
    assert breaker.state is CLOSED
    assert all(breaker.allows() for _ in range(5))
    fail(breaker, 2)
    assert breaker.state is CLOSED, "a success forgets the failures before"


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    clock = Clock()
    breaker = breaker_with(clock)

    def pause() -> float:
        waited = 0.0
        while not breaker.allows():
            clock.advance(0.25)
            waited += 0.25
        return waited

    fail(breaker, 3)
    pauses = []
    for _ in range(7):
        pauses.append(pause())
        breaker.failed()
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert breaker.opened == 1, "a failed probe is the same outage"
    assert pause() == 30
    breaker.succeeded()
    fail(breaker, 3)
    assert breaker.opened == 2
    assert pause() == 1


@given(st.floats(0, 1, exclude_max=True))
def test_a_pause_is_drawn_from_its_second_half(drawn: float) -> None:
    clock = Clock()
    breaker = breaker_with(clock, drawn)
    fail(breaker, 3)
    clock.now = 0.5 + 0.5 * drawn - 1e-6
    assert not breaker.allows()
    clock.now = 0.5 + 0.5 * drawn + 1e-6
    assert breaker.allows()


def test_a_probe_that_never_reports_is_given_up() -> None:
    clock = Clock()
    breaker = breaker_with(clock)
    fail(breaker, 3)
    clock.advance(1.0)
    assert breaker.allows()
    clock.advance(0.9)
    assert not breaker.allows()
    clock.advance(0.2)
    assert breaker.allows()
    assert not breaker.allows()


def test_a_probe_that_is_withdrawn_leaves_its_place_to_the_next() -> None:
    clock = Clock()
    breaker = breaker_with(clock)
    fail(breaker, 3)
    clock.advance(1.0)
    assert breaker.allows()
    breaker.withdrawn()
    assert breaker.allows()
    assert breaker.state is HALF_OPEN
    breaker.succeeded()
    breaker.withdrawn()
    assert breaker.state is CLOSED


def test_reports_of_calls_from_before_it_opened_change_nothing() -> None:
    clock = Clock()
    breaker = breaker_with(clock)
    assert all(breaker.allows() for _ in range(6))
    for _ in range(3):
        breaker.failed()
    clock.advance(0.9)
    breaker.failed()
    breaker.succeeded()
    assert breaker.state is OPEN
    clock.advance(0.1)
    assert breaker.allows(), "a late failure does not prolong the pause"


def test_as_a_context_manager_it_counts_the_given_errors_only() -> None:
    clock = Clock()
    breaker = CircuitBreaker(
        "store", failures=2, counts=(OSError, TimeoutError), clock=clock, draw=lambda: 1.0
    )
    for error in (OSError, KeyError, KeyError, KeyError, TimeoutError):
        assert breaker.state is CLOSED
        with pytest.raises(error), breaker:
            raise error
    assert breaker.state is OPEN
    with pytest.raises(OpenCircuitError, match="store failed 2 times in a row") as caught, breaker:
        pytest.fail("a call went through")
    assert isinstance(caught.value, UnavailableError)
    clock.advance(1.0)
    with pytest.raises(KeyError), breaker:
        raise KeyError("not the store's fault")
    with breaker:
        pass
    assert breaker.state is CLOSED


@pytest.mark.parametrize("limits", [{"failures": 0}, {"reset_s": 0.0}, {"reset_s": 5.0, "longest_s": 1.0}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="circuit breaker store"):
        CircuitBreaker("store", **limits)  # type: ignore[arg-type]


def test_many_threads_get_one_probe_between_them() -> None:
    for _ in range(20):
        clock = Clock()
        breaker = breaker_with(clock)
        fail(breaker, 3)
        clock.advance(1.0)
        together = threading.Barrier(8)

        def ask(breaker: CircuitBreaker = breaker, together: threading.Barrier = together) -> bool:
            together.wait()
            return breaker.allows()

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask) for _ in range(8)]
        assert sum(done.result() for done in asked) == 1


class AnyCalls(RuleBasedStateMachine):
    """Calls that begin, end well, badly or not at all, in any order, against what a breaker promises."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = breaker_with(self.clock, failures=2)
        self.in_a_row = 0
        self.opened_at: float | None = None
        self.probe_at: float | None = None
        self.pause = 1.0

    @rule(seconds=st.sampled_from([0.125, 0.5, 1.0, 3.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def asks(self) -> None:
        allowed = self.breaker.allows()
        if self.opened_at is None:
            assert allowed
            return
        since = self.opened_at if self.probe_at is None else self.probe_at
        assert allowed == (self.clock.now >= since + self.pause)
        if allowed:
            self.probe_at = self.clock.now

    @rule()
    def succeeds(self) -> None:
        self.breaker.succeeded()
        if self.opened_at is None or self.probe_at is not None:
            self.in_a_row, self.opened_at, self.probe_at, self.pause = 0, None, None, 1.0

    @rule()
    def fails(self) -> None:
        self.breaker.failed()
        if self.opened_at is None:
            self.in_a_row += 1
            if self.in_a_row == 2:
                self.opened_at = self.clock.now
        elif self.probe_at is not None:
            self.opened_at, self.probe_at = self.clock.now, None
            self.pause = min(2 * self.pause, 30.0)

    @precondition(lambda self: self.probe_at is not None)
    @rule()
    def is_withdrawn(self) -> None:
        self.breaker.withdrawn()
        self.opened_at, self.probe_at = self.clock.now - self.pause, None

    @invariant()
    def states_agree(self) -> None:
        if self.opened_at is None:
            assert self.breaker.state is CLOSED
        else:
            assert self.breaker.state is (OPEN if self.probe_at is None else HALF_OPEN)


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
