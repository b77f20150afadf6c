"""A thread that looks at something again and again, and at once when somebody asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

STOP_WAIT_S = 5.0

_log = logging.getLogger("audotics.resilience")


class Lookout:
    """Calls ``look`` regularly on a thread of its own; what it raises is logged, and the next look comes.

    Args:
        name: Of the thread.
        look: What is called.
        every_s: Seconds between two looks.
    """

    def __init__(self, name: str, look: Callable[[], object], every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first look comes after ``every_s``."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def rest(self, seconds: float) -> None:
        """Called by ``look``: put the next look off, but not the end."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """Look no more; waits `STOP_WAIT_S` at most for a look under way."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_WAIT_S)

    def _go_on(self) -> None:
        while True:
            self._woken.wait(self._every_s)
            self._woken.clear()
            if self._stopped.is_set():
                return
            try:
                self._look()
            except Exception:
                _log.exception("%s: a look failed", self._thread.name)
