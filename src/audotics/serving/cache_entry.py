"""What the cache holds: the key of a slot, the answer in it, and that answer as bytes for Redis."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

_HEADER = struct.Struct(">4sBddq")
_MAGIC = b"AUCA"
_FORMAT = 1
_DIGEST_BYTES = 16
_CLOCK_SKEW_S = 60.0
"""How far ahead the clock of another server may be."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The slot of an answer: it holds one, of whatever profile revision."""

    user_id: str
    """Empty where an answer is no single listener's: of an anonymous history, or a group."""
    model_version: str
    variant: str
    context: str
    """Bucket of the context: device, country, hour."""
    request: str
    """Digest of what else was asked for: length, mode, rules."""


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer from the cache."""

    payload: bytes
    revision: int
    """Of the listener's profile that it was computed from."""
    fresh: bool
    """Whether that is the revision asked for; an older one makes the answer stale."""
    made_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer as it is kept."""

    payload: bytes
    revision: int
    made_at: float
    expires_at: float

    def seen_from(self, revision: int) -> Cached | None:
        """As an answer for this revision of the profile; None where it is of a newer one.

        A newer one means that the profile began anew after its listener was erased, or that the caller
        reads an old one. What came before an erasure must never be shown, not even as stale.
        """
        if self.revision > revision:
            return None
        return Cached(self.payload, self.revision, self.revision == revision, self.made_at)


def hash_name(prefix: str, user_id: str) -> str:
    """The Redis key of all entries of a listener; the id itself does not appear in it."""
    return f"{prefix}:{hashlib.sha256(_bytes(user_id)).hexdigest()[:32]}"


def nobodys_name(prefix: str, field: bytes) -> str:
    """The Redis key of an answer that is no single listener's: each has one of its own."""
    return f"{prefix}:nobody:{field.hex()}"


def scope_of(key: CacheKey) -> bytes:
    """All parts of the key, their lengths first, so that no two keys run together into the same bytes."""
    parts = (key.user_id, key.model_version, key.variant, key.context, key.request)
    return _bytes(f"{','.join([str(len(part)) for part in parts])}:{''.join(parts)}")


def field_name(scope: bytes) -> bytes:
    """The field of a slot within its listener's hash."""
    return hashlib.sha256(scope).digest()[:_DIGEST_BYTES]


def pack(entry: Entry, scope: bytes) -> bytes:
    """Header, digest, payload.

    Raises:
        struct.error: The revision does not fit into 64 bits.
    """
    header = _HEADER.pack(_MAGIC, _FORMAT, entry.made_at, entry.expires_at, entry.revision)
    return b"".join((header, _digest(header, scope, entry.payload), entry.payload))


def unpack(value: bytes, scope: bytes, now: float) -> Entry | None:
    """The entry in these bytes, or None where they are not one of this slot.

    The digest covers the listener, the model version and the rest of the key besides times, revision and
    payload: bytes of another listener do not check out wherever they come from. It shows
    accidents, not forgery: whoever writes to Redis on purpose can compute it.
    """
    start = _HEADER.size + _DIGEST_BYTES
    if len(value) < start:
        return None
    header, payload = value[: _HEADER.size], value[start:]
    magic, version, made_at, expires_at, revision = _HEADER.unpack(header)
    if (
        magic != _MAGIC
        or version != _FORMAT
        or value[_HEADER.size : start] != _digest(header, scope, payload)
    ):
        return None
    if not made_at <= now + _CLOCK_SKEW_S:
        return None
    return Entry(payload, revision, made_at, expires_at)


def _digest(header: bytes, scope: bytes, payload: bytes) -> bytes:
    # The header has one length and the scope tells its own, so the three do not run together either.
    return hashlib.sha256(b"".join((header, scope, payload))).digest()[:_DIGEST_BYTES]


def _bytes(text: str) -> bytes:
    # Ids are opaque: half a surrogate pair in one must not turn a lookup into an error.
    return text.encode("utf-8", "surrogatepass")
