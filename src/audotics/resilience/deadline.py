"""The moment by which an answer has to be there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self


class Deadline:
    """A moment on a clock that never goes back; handed down through everything that answers a request.

    Args:
        at: The moment, in seconds of `clock`.
        clock: Seconds, monotonic.
    """

    __slots__ = ("_at", "_clock")

    def __init__(self, at: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._at = at
        self._clock = clock

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Self:
        """The deadline `seconds` from now."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left, 0 once it has passed."""
        return max(0.0, self._at - self._clock())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self._clock() >= self._at

    def clipped(self, timeout_s: float) -> float:
        """A time-out that does not reach beyond the deadline: the smaller of both, in seconds."""
        return min(timeout_s, self.remaining())

    def __repr__(self) -> str:
        return f"Deadline({self.remaining():.3f} s left)"
