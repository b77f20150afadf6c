"""What tests of the cache share."""

from __future__ import annotations

import asyncio

from audotics.serving import CacheManager


async def written(cache: CacheManager) -> None:
    """Wait for the writes to Redis that are under way."""
    assert cache._redis is not None
    while cache._redis._writes:
        await asyncio.wait(tuple(cache._redis._writes))
