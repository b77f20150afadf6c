"""One computation per key; whoever asks meanwhile gets the same result (asyncio)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Keeps a hundred equal requests from computing a hundred times. For one event loop, not for threads.

    The computation is a task of its own. A waiter that is cancelled (its client has gone, its time is over)
    leaves it running, for the others and for what it does on the way, such as filling a cache. When it fails,
    everybody who waited gets its error, and the next one to ask starts anew.
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

    async def run(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The result of the computation under way for this key, or of this one.

        Args:
            key: What is computed.
            compute: How; called only where no computation of this key is under way, run in a task of its own.

        Raises:
            BaseException: What the computation raised.
        """
        flight = self._flights.get(key)
        if flight is None or flight.done():
            flight = asyncio.get_running_loop().create_task(compute())
            self._flights[key] = flight
            flight.add_done_callback(partial(self._land, key))
        # Not the task itself is awaited, so that cancelling the waiter does not cancel it.
        landed: asyncio.Future[None] = flight.get_loop().create_future()
        flight.add_done_callback(partial(_wake, landed))
        await landed
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


def _wake(waiter: asyncio.Future[None], _: asyncio.Task[Any]) -> None:
    if not waiter.done():
        waiter.set_result(None)
