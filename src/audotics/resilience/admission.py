"""How much work may be under way at once; the rest is told so at once instead of queueing."""

from __future__ import annotations

import threading
from types import TracebackType

from audotics.errors import BadInputError, OverloadedError


class Admission:
    """A fixed number of places without a queue; may be used from any thread.

    A queue in front of a saturated core only makes everybody late: who finds no place takes a
    cheaper answer instead.

        with admission:          # OverloadedError where no place is free
            ...

    Args:
        limit: Places, at least 1.

    Raises:
        BadInputError: The limit is below 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise BadInputError(f"at least one place is needed, not {limit}", where="admission limit")
        self.limit = limit
        self._lock = threading.Lock()
        self._in_flight = 0
        self._refused = 0

    @property
    def in_flight(self) -> int:
        """Places taken now."""
        return self._in_flight

    @property
    def refused(self) -> int:
        """How often no place was free, since the start."""
        return self._refused

    def enter(self) -> bool:
        """Take a place; whoever gets True must `leave`."""
        with self._lock:
            if self._in_flight >= self.limit:
                self._refused += 1
                return False
            self._in_flight += 1
            return True

    def leave(self) -> None:
        """Give a place back.

        Raises:
            RuntimeError: More leave than entered, a bug of the caller.
        """
        with self._lock:
            if self._in_flight == 0:
                raise RuntimeError("left a place that nobody had taken")
            self._in_flight -= 1

    def __enter__(self) -> None:
        if not self.enter():
            raise OverloadedError(
                f"{self.limit} computations are under way, which is the limit", remedy="Try again in a moment"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
