"""What the cache has counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """A snapshot; counts are since the start.

    Each answered lookup is one of `hits_local`, `hits_redis`, `stale` and `misses`.
    """

    hits_local: int
    """Fresh answers from this process."""
    hits_redis: int
    """Fresh answers from Redis."""
    stale: int
    """Lookups that found an answer to an older revision of the profile only."""
    misses: int
    errors: int
    """Commands that Redis refused or did not answer in time, and writes dropped as too many waited."""
    garbage: int
    """Values in Redis that are no entry of the slot they were found in."""
    bytes: int
    """In this process, now."""
    entries: int
    """In this process, now."""
    evictions: int
    """Entries that made room for others in this process."""

    @property
    def hit_ratio(self) -> float:
        """Fresh answers among all lookups; 0 before the first."""
        hits = self.hits_local + self.hits_redis
        lookups = hits + self.stale + self.misses
        return hits / lookups if lookups else 0.0


@dataclass(slots=True)
class Tally:
    """The counts as they grow."""

    hits_local: int = 0
    hits_redis: int = 0
    stale: int = 0
    misses: int = 0
    errors: int = 0
    garbage: int = 0
