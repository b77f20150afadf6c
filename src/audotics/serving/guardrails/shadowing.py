"""Comparing answers beside the requests, in the time that a worker can spare."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from audotics.domain import Query, Slate
from audotics.recommender.reactions import Reactions
from audotics.resilience import LoneWorker
from audotics.serving.guardrails.shadow import Comparison, Shadow
from audotics.serving.served import Served

EAGER = 200
"""So many answers are compared one after another; of those that follow only `SHARE`."""

SHARE = 0.05
DUTY = 0.3
"""Share of its time that a worker spends on comparisons at most."""

_log = logging.getLogger("audotics.serving")


class Shadowing:
    """Compares some answers of a new version with those of the one before, one at a time.

    Args:
        reactions: What the listeners of a query did since a time.
        on_compared: Called with each comparison, on the thread that compares.
    """

    def __init__(
        self,
        reactions: Callable[[Query, datetime], Reactions],
        on_compared: Callable[[Comparison], object],
    ) -> None:
        self._reactions, self._on_compared = reactions, on_compared
        self._thread = LoneWorker("shadow")
        self._previous: Served | None = None
        self._shadow: Shadow | None = None
        self._n = 0
        self._free_at = 0.0

    def begin(self, previous: Served) -> None:
        """Compare with this version from now on."""
        self._previous, self._shadow = previous, Shadow(previous)
        self._n, self._free_at = 0, 0.0

    def end(self) -> None:
        """Compare no more, and let go of the version."""
        self._previous = self._shadow = None

    def close(self) -> None:
        """End the thread."""
        self.end()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def offer(self, query: Query, slate: Slate) -> None:
        """Compare this answer, if it is one of those to be compared and the last comparison is done."""
        shadow, previous = self._shadow, self._previous
        if shadow is None or previous is None or query.group:
            return
        self._n += 1
        if self._n > EAGER and self._n % round(1 / SHARE):
            return
        if time.monotonic() < self._free_at:
            return
        self._free_at = float("inf")  # until this one is done
        self._thread.submit(self._compare, shadow, previous.trained_until, query, slate)

    def _compare(self, shadow: Shadow, trained_until: datetime, query: Query, slate: Slate) -> None:
        start = time.monotonic()
        try:
            comparison = shadow.compare(query, self._reactions(query, trained_until), slate)
            if shadow is self._shadow:
                self._on_compared(comparison)
        except Exception:
            _log.exception("comparing with the version before failed")
        finally:
            now = time.monotonic()
            self._free_at = now + (now - start) * (1 / DUTY - 1)
