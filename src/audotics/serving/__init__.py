"""Serving: answers over HTTP, cached, with something to fall back on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.serving.cache import CacheManager as CacheManager
    from audotics.serving.cache import Origin as Origin
    from audotics.serving.cache_entry import Cached as Cached
    from audotics.serving.cache_entry import CacheKey as CacheKey
    from audotics.serving.cache_statistics import CacheStatistics as CacheStatistics

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CacheKey": "cache_entry",
        "CacheManager": "cache",
        "CacheStatistics": "cache_statistics",
        "Cached": "cache_entry",
        "Origin": "cache",
    },
)
