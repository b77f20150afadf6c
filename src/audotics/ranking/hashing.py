"""Embedding rows of ids that training never saw."""

from __future__ import annotations

import hashlib


def hashed_index(key: str, n_known: int, n_hashed: int) -> int:
    """Stable index of an id that training never saw, in ``[n_known, n_known + n_hashed)``.

    The same on every machine and in every version with the same sizes.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return n_known + int.from_bytes(digest, "big") % n_hashed
