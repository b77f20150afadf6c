"""The latest requests, which a new version must answer before it serves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from threading import Lock

from audotics.domain import Query
from audotics.recommender.reactions import Reactions
from audotics.serving.served import Served, well_formed

MOST_QUERIES = 32


class Rehearsal:
    """Keeps the latest computed queries.

    Args:
        reactions: What the listeners of a query did since a time.
    """

    def __init__(self, reactions: Callable[[Query, datetime], Reactions]) -> None:
        self._reactions = reactions
        self._lock = Lock()
        self._queries: deque[Query] = deque(maxlen=MOST_QUERIES)

    def note(self, query: Query) -> None:
        """Keep a query."""
        with self._lock:
            self._queries.append(query)

    def forget(self, user_id: str) -> None:
        """Drop the queries of a listener who is erased."""
        with self._lock:
            kept = [query for query in self._queries if user_id not in query.listeners]
            self._queries = deque(kept, MOST_QUERIES)

    def run(self, fresh: Served) -> None:
        """Answer the kept queries with a version that does not serve yet.

        Raises:
            Exception: It fails one; then it must not serve.
        """
        with self._lock:
            queries = tuple(self._queries)
        for query in queries:
            well_formed(fresh, query, self._reactions(query, fresh.trained_until))
