"""Circuit breaker: a dependency that keeps failing is left alone for a while, then tried once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from enum import Enum
from types import TracebackType

from audotics.errors import BadInputError, OpenCircuitError


class BreakerState(Enum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Opens after failures in a row, lets one probe through after a pause, closes when that succeeds.

    Each failed probe doubles the pause, up to `longest_s`. A pause is drawn from its second half, so that
    many processes do not come back to a weak server in step. A probe whose caller never reports
    (its thread died, its task was cancelled) is given up after another pause. Thread-safe.

    Either report each call, or use it as a context manager, which counts errors of the types
    `counts` as failures and any other error as no answer to the question:

        with breaker:            # OpenCircuitError while it is open
            ask()

    Args:
        name: The dependency, for messages and metrics.
        failures: So many failures in a row open it.
        reset_s: The first pause.
        longest_s: No pause is longer.
        counts: Error types that are the dependency's failure.
        clock: Seconds, monotonic.
        draw: A number in [0, 1) per pause.

    Raises:
        BadInputError: A limit that makes no sense.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 3,
        reset_s: float = 1.0,
        longest_s: float = 30.0,
        counts: tuple[type[BaseException], ...] = (Exception,),
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if failures < 1 or not 0 < reset_s <= longest_s:
            raise BadInputError(
                f"a breaker needs failures >= 1 and 0 < reset_s <= longest_s, "
                f"not {failures}, {reset_s}, {longest_s}",
                where=f"circuit breaker {name}",
            )
        self.name = name
        self._limit = failures
        self._reset_s = reset_s
        self._longest_s = longest_s
        self._counts = counts
        self._clock = clock
        self._draw = draw
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._in_a_row = 0
        self._pause_s = reset_s
        self._wait_until = 0.0
        self._opened = 0

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half-open while a probe is under way."""
        return self._state

    @property
    def opened(self) -> int:
        """How often it has gone from closed to open."""
        return self._opened

    def allows(self) -> bool:
        """Whether a call may be made now. Whoever gets True reports how it went.

        After a pause, one caller gets True: its call is the probe.
        """
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return True
            now = self._clock()
            if now < self._wait_until:
                return False
            self._state = BreakerState.HALF_OPEN
            self._wait_until = now + self._pause_s
            return True

    def succeeded(self) -> None:
        """A call went well."""
        with self._lock:
            if self._state is BreakerState.OPEN:
                return  # A call from before it opened; the probe decides.
            self._state = BreakerState.CLOSED
            self._in_a_row = 0
            self._pause_s = self._reset_s

    def failed(self) -> None:
        """A call failed or took too long."""
        with self._lock:
            if self._state is BreakerState.OPEN:
                return
            self._in_a_row += 1
            if self._state is BreakerState.HALF_OPEN:
                self._pause_s = min(2 * self._pause_s, self._longest_s)
            elif self._in_a_row < self._limit:
                return
            else:
                self._opened += 1
            self._state = BreakerState.OPEN
            self._wait_until = self._clock() + self._pause_s * (0.5 + 0.5 * self._draw())

    def withdrawn(self) -> None:
        """A call ended without telling anything; a probe leaves its place to the next caller."""
        with self._lock:
            if self._state is BreakerState.HALF_OPEN:
                self._state = BreakerState.OPEN
                self._wait_until = self._clock()

    def __enter__(self) -> None:
        if not self.allows():
            raise OpenCircuitError(
                f"{self.name} failed {self._in_a_row} times in a row and is left alone for a while",
                remedy="Calls go through again once one of them succeeds",
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.succeeded()
        elif isinstance(error, self._counts):
            self.failed()
        else:
            self.withdrawn()
