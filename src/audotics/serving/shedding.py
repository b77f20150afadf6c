"""Refusing requests that have waited too long for the event loop, while more come than it can handle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BEAT_S = 0.005
"""How often the loop shows that it has come round."""


class LoadShedder:
    """Keeps the wait for the event loop bounded.

    The ladder of degradation makes answers cheap, not free. Where even the cheap ones pile up, each waits
    for all before it, and everybody is late. So the loop leaves a mark whenever it comes round, before it
    looks for new requests; once it has worked on those it found for `target_s`, the rest of them are refused,
    which costs a tenth of a cheap answer. A pause of the process refuses nobody who comes after it.

    Args:
        target_s: How long the loop may work before it comes round.
        clock: Seconds, monotonic.
    """

    def __init__(self, target_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._target_s = target_s
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came_round = clock()

    def refuses(self) -> bool:
        """Whether a request that begins now has waited too long."""
        return self._clock() - self._came_round > self._target_s

    def beat(self) -> None:
        """Mark that the loop has come round."""
        self._came_round = self._clock()

    def watch(self) -> None:
        """Mark it from now on by itself; calling it again changes nothing. For the loop that serves."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._go_on()

    def _go_on(self) -> None:
        assert self._loop is not None  # noqa: S101
        self.beat()
        # A timer of the loop, not a task: timers come before new requests, tasks stand in line with them.
        self._loop.call_later(BEAT_S, self._go_on)
