"""Many small pieces of work from many threads, handed on in groups by one thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Gathering(Generic[Item]):
    """Collects items until there are enough or the oldest has waited long enough, then passes them on.

    While one group is being handled the next one gathers, so groups grow with the load.

    Args:
        handle: Takes a group, in the gathering's own thread. Must not raise.
        most_in_group: Weight of a group at most; a heavier item is a group of its own.
        max_wait_s: How long an item waits for company.
        max_pending: Weight of all items accepted and not yet handled.
        name: Of the thread.
    """

    def __init__(
        self,
        handle: Callable[[list[Item]], None],
        *,
        most_in_group: int,
        max_wait_s: float,
        max_pending: int,
        name: str,
    ) -> None:
        self._handle = handle
        self._most_in_group = most_in_group
        self._max_wait_s = max_wait_s
        self._max_pending = max_pending
        self._waiting: deque[tuple[Item, int, float]] = deque()
        self._waiting_weight = 0
        self._accepted = 0
        self._handled = 0
        self._n_in_a_hurry = 0
        self._closed = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether nothing is accepted any more."""
        return self._closed

    @property
    def pending(self) -> int:
        """Weight of everything accepted and not yet handled."""
        return self._accepted - self._handled

    def offer(self, item: Item, weight: int = 1) -> bool:
        """Accept an item without waiting; False where too much is pending or after `close`."""
        with self._changed:
            # One that is heavier than the limit passes when it is alone: it never could otherwise.
            too_much = self.pending and self.pending + weight > self._max_pending
            if self._closed or too_much:
                return False
            self._waiting.append((item, weight, time.monotonic() + self._max_wait_s))
            self._waiting_weight += weight
            self._accepted += weight
            if len(self._waiting) == 1 or self._waiting_weight >= self._most_in_group:
                self._changed.notify_all()
            return True

    def drain(self) -> None:
        """Wait until everything accepted so far is handled."""
        with self._changed:
            accepted = self._accepted
            self._n_in_a_hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._handled >= accepted)
            self._n_in_a_hurry -= 1

    def close(self) -> None:
        """Accept nothing more, handle what was accepted, stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            group, weight = self._next_group()
            if not group:
                return
            self._handle(group)
            with self._changed:
                self._handled += weight
                self._changed.notify_all()

    def _next_group(self) -> tuple[list[Item], int]:
        """Wait for a group; empty when closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._waiting:
                patience_s = self._waiting[0][2] - time.monotonic()
                self._changed.wait_for(self._is_complete, max(0.0, patience_s))
            group: list[Item] = []
            weight = 0
            while self._waiting and (not group or weight + self._waiting[0][1] <= self._most_in_group):
                item, its_weight, _ = self._waiting.popleft()
                group.append(item)
                weight += its_weight
            self._waiting_weight -= weight
            return group, weight

    def _is_complete(self) -> bool:
        return self._closed or self._n_in_a_hurry > 0 or self._waiting_weight >= self._most_in_group
