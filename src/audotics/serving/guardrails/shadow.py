"""What the old version would have answered, to tell well-formed rubbish before listeners do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from audotics.domain import Query, Slate
from audotics.recommender.reactions import Reactions
from audotics.serving.served import Served

DEPTH = 10
"""The old version's list is so many times as long as the answer that is looked for in it."""

MOST_OF_CATALOGUE = 0.25
"""But no longer than this share of the catalogue: else everything would be found in it."""

LOOKED_AT = 10
"""First tracks of an answer that are compared."""

PERSONAL = 0.8
"""Where old answers to two listeners are more alike they are not personal: to be unlike them is no fault."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One answer of the new version beside the old one's list for the same request.

    Args:
        seconds: What the old version took, now, on this machine.
        found: Share of the new answer's tracks in the old one's longer list; None where that says nothing.
        by_chance: Share of the catalogue that the longer list covers.
        less_popular: By how much less popular the new answer's tracks are than the old one's: mean
            difference of their places in the old version's catalogue, from -1 to 1; None where unknown.
        more_alike: By how much more alike the new answers to two listeners are than the old ones (Jaccard
            similarity), from -1 to 1; None where there is no second listener yet.
    """

    seconds: float
    found: float | None
    by_chance: float
    less_popular: float | None
    more_alike: float | None


class Shadow:
    """Compares answers with those of the version before; for one thread.

    Tracks that the old version does not know are left out of all comparisons.

    Args:
        previous: The version before.
    """

    def __init__(self, previous: Served) -> None:
        self._recommender = previous.recommender
        self._before: tuple[str | None, frozenset[str], frozenset[str]] | None = None

    def compare(self, query: Query, since: Reactions, slate: Slate) -> Comparison:
        """Answer the same query with the old version and compare.

        Args:
            query: The request.
            since: What the listener did since the old version's training.
            slate: The new version's answer.
        """
        recommender = self._recommender
        n_tracks = len(recommender.tracks)
        shown = [one for one in slate.track_ids if one in recommender.tracks][:LOOKED_AT]
        n = min(query.k, LOOKED_AT)
        depth = max(n, min(DEPTH * n, int(MOST_OF_CATALOGUE * n_tracks)))
        start = time.perf_counter()
        (old,) = recommender.recommend([replace(query, k=depth)], since)
        seconds = time.perf_counter() - start
        before, new_set, old_set = self._before, frozenset(shown), frozenset(old.track_ids[:n])
        self._before = query.user_id, new_set, old_set
        old_alike = new_alike = None
        if before is not None and before[0] != query.user_id:
            new_alike, old_alike = _jaccard(new_set, before[1]), _jaccard(old_set, before[2])
        found = None
        if shown and old.track_ids and old_alike is not None and old_alike < PERSONAL:
            listed = set(old.track_ids)
            found = sum(one in listed for one in shown) / len(shown)
        return Comparison(
            seconds,
            found,
            min(1.0, len(old.track_ids) / n_tracks),
            self._drop(shown, old.track_ids[:n]),
            None if new_alike is None or old_alike is None else new_alike - old_alike,
        )

    def _drop(self, new: Sequence[str], old: Sequence[str]) -> float | None:
        if not new or not old:
            return None
        return self._popularity(old) - self._popularity(new)

    def _popularity(self, track_ids: Sequence[str]) -> float:
        """Mean share of tracks with fewer listeners, ties by half."""
        listeners = self._recommender.catalogue.listeners[self._recommender.tracks.indices(track_ids)]
        below = np.searchsorted(self._sorted, listeners, "left")
        above = np.searchsorted(self._sorted, listeners, "right")
        return float((below + above).mean()) / (2 * len(self._sorted))

    @cached_property
    def _sorted(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        return np.sort(self._recommender.catalogue.listeners)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
