"""First level of the cache: in process, bounded in bytes, least recently used out first."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable

from audotics.serving.cache_entry import CacheKey, Entry

_OVERHEAD_BYTES = 500
"""Of an entry beyond its payload and its key's texts: both objects, dictionary slots, the listener's set."""


class LocalCache:
    """Entries by slot, for one event loop or one thread.

    Args:
        max_bytes: Bound of `bytes`, which counts keys and overhead, too.
        clock: Seconds since the epoch.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evictions = 0
        self._clock = clock
        self._entries: OrderedDict[CacheKey, Entry] = OrderedDict()
        self._slots: dict[str, set[CacheKey]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: CacheKey) -> Entry | None:
        """The living entry of this slot, which counts as a use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: CacheKey, entry: Entry) -> None:
        """Keep an entry, unless the slot holds a newer revision or it is larger than the whole cache.

        Of two with the same revision the one made later stays.
        """
        present = self.get(key)
        if present is not None:
            if (present.revision, present.made_at) > (entry.revision, entry.made_at):
                return
            self._drop(key)
        size = _size(key, entry)
        if size > self.max_bytes:
            return
        while self.bytes + size > self.max_bytes:
            self._drop(next(iter(self._entries)))
            self.evictions += 1
        self._entries[key] = entry
        self._slots.setdefault(key.user_id, set()).add(key)
        self.bytes += size

    def forget(self, user_id: str) -> None:
        """Drop every entry of a listener."""
        for key in tuple(self._slots.get(user_id, ())):
            self._drop(key)

    def _drop(self, key: CacheKey) -> None:
        entry = self._entries.pop(key)
        self.bytes -= _size(key, entry)
        slots = self._slots[key.user_id]
        slots.remove(key)
        if not slots:
            del self._slots[key.user_id]


def _size(key: CacheKey, entry: Entry) -> int:
    texts = (key.user_id, key.model_version, key.variant, key.context, key.request)
    return sys.getsizeof(entry.payload) + sum(map(sys.getsizeof, texts)) + _OVERHEAD_BYTES
