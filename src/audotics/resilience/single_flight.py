"""One computation per key; whoever asks meanwhile gets the same result (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Keeps a hundred equal requests from computing a hundred times. For one event loop, not for threads.

    The computation is a task of its own. A waiter that is cancelled (its client has gone) or out of
    time leaves it running, for the others and for what it does on the way, such as filling a cache. When it
    fails, everybody who waited gets its error, and the next one to ask starts anew.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[Result]] = {}

    def __len__(self) -> int:
        """Computations under way."""
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        """Whether the computation of this key is under way: `run` would join it."""
        flight = self._flights.get(key)
        return flight is not None and not flight.done()

    async def run(
        self, key: Hashable, compute: Callable[[], Awaitable[Result]], timeout_s: float | None = None
    ) -> Result:
        """The result of the computation under way for this key, or of this one.

        Args:
            key: What is computed.
            compute: How; called only where no computation of this key is under way, in a task of its own.
            timeout_s: How long to wait; the computation itself goes on.

        Raises:
            TimeoutError: The wait was too long.
            BaseException: What the computation raised.
        """
        flight = self._flights.get(key)
        if flight is None or flight.done():
            flight = asyncio.get_running_loop().create_task(_computed(compute))
            self._flights[key] = flight
            flight.add_done_callback(partial(self._land, key))
        # Unlike awaiting the task, waiting for it does not cancel it when the waiter is cancelled.
        done, _ = await asyncio.wait((flight,), timeout=timeout_s)
        if not done:
            raise TimeoutError
        return flight.result()

    async def landed(self, timeout_s: float | None = None) -> None:
        """Wait until no computation is under way, or until the time is over."""
        if self._flights:
            await asyncio.wait(tuple(self._flights.values()), timeout=timeout_s)

    def _land(self, key: Hashable, flight: asyncio.Task[Result]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # Looked at, so that asyncio does not complain when all waiters have gone.


async def _computed(compute: Callable[[], Awaitable[Result]]) -> Result:
    return await compute()
