"""The hash that deals listeners out: XXH64 of the id, mixed with a salt, the same in any language.

docs/experiments.md holds the algorithm in words, and vectors to test another implementation with.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.experiments.arms import N_BUCKETS

Hashes = npt.NDArray[np.uint64]
Buckets = npt.NDArray[np.int16]

_MASK = 0xFFFFFFFFFFFFFFFF
_P1 = 0x9E3779B185EBCA87
_P2 = 0xC2B2AE3D27D4EB4F
_P3 = 0x165667B19E3779F9
_P4 = 0x85EBCA77C2B2AE63
_P5 = 0x27D4EB2F165667C5
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB

_ROWS = 32_768
"""Ids hashed in one step: their words fit into a core's cache."""


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0 (Collet, xxHash fast digest algorithm, specification 0.1.1)."""
    n = len(data)
    words = struct.unpack_from(f"<{n // 8}Q", data)
    n_striped = n // 32 * 4
    if n_striped:
        a, b, c, d = (_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK
        for i in range(0, n_striped, 4):
            a, b = _round(a, words[i]), _round(b, words[i + 1])
            c, d = _round(c, words[i + 2]), _round(d, words[i + 3])
        state = (_left(a, 1) + _left(b, 7) + _left(c, 12) + _left(d, 18)) & _MASK
        for lane in (a, b, c, d):
            state = ((state ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        state = _P5
    state += n
    for word in words[n_striped:]:
        state = (_left(state ^ _round(0, word), 27) * _P1 + _P4) & _MASK
    at = n // 8 * 8
    if at + 4 <= n:
        word = int.from_bytes(data[at : at + 4], "little")
        state = (_left((state ^ (word * _P1)) & _MASK, 23) * _P2 + _P3) & _MASK
        at += 4
    for byte in data[at:]:
        state = (_left((state ^ (byte * _P5)) & _MASK, 11) * _P1) & _MASK
    state = ((state ^ (state >> 33)) * _P2) & _MASK
    state = ((state ^ (state >> 29)) * _P3) & _MASK
    return state ^ (state >> 32)


def bucket_of(listener_hash: int, salt_hash: int) -> int:
    """The bucket, 0 to 9,999, of a listener under a salt.

    SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) over the two hashes, of which the upper 32
    bits are scaled to the buckets by multiplication.

    Args:
        listener_hash: `xxh64` of the listener's id in UTF-8.
        salt_hash: `xxh64` of the salt.
    """
    state = listener_hash ^ salt_hash
    state = ((state ^ (state >> 30)) * _MIX_1) & _MASK
    state = ((state ^ (state >> 27)) * _MIX_2) & _MASK
    return (((state ^ (state >> 31)) >> 32) * N_BUCKETS) >> 32


def listener_hashes(listeners: pl.Series) -> Hashes:
    """`xxh64` of every id ``[n]``, some 20 times as fast as one by one.

    Ids of one length take the same way through the algorithm, so those are hashed together.

    Args:
        listeners: ``[n]`` texts, none of them null.
    """
    hashes = np.empty(len(listeners), np.uint64)
    lengths = listeners.str.len_bytes().to_numpy()
    order = np.argsort(lengths, kind="stable")
    for rows, n in _runs(lengths[order]):
        places = order[rows]
        joined: str = listeners.gather(pl.Series(places)).str.join("").item()
        data = np.frombuffer(joined.encode(), np.uint8).reshape(len(places), n)
        hashes[places] = _xxh64_rows(data)
    return hashes


def buckets_of(hashes: Hashes, salt_hash: int) -> Buckets:
    """`bucket_of` for every listener ``[n]``.

    Args:
        hashes: ``[n]`` from `listener_hashes`.
        salt_hash: `xxh64` of the salt.
    """
    state = hashes ^ np.uint64(salt_hash)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_MIX_1)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(_MIX_2)
    upper = (state ^ (state >> np.uint64(31))) >> np.uint64(32)
    return ((upper * np.uint64(N_BUCKETS)) >> np.uint64(32)).astype(np.int16)


def _runs(lengths: npt.NDArray[np.uint32]) -> Iterator[tuple[slice, int]]:
    """Parts of ascending lengths that are equal, of `_ROWS` at most, with that length."""
    ends = np.flatnonzero(np.diff(lengths, append=-1))
    start = 0
    for end in (ends + 1).tolist():
        for first in range(start, end, _ROWS):
            yield slice(first, min(first + _ROWS, end)), int(lengths[start])
        start = end


def _xxh64_rows(data: npt.NDArray[np.uint8]) -> Hashes:
    """`xxh64` of each row ``[n, length]``."""
    n, length = data.shape
    at = 0
    if length >= 32:
        lanes = [np.full(n, start, np.uint64) for start in ((_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK)]
        while at + 32 <= length:
            lanes = [_rounds(lane, _words(data, at + 8 * i)) for i, lane in enumerate(lanes)]
            at += 32
        state = np.zeros(n, np.uint64)
        for lane, by in zip(lanes, (1, 7, 12, 18), strict=True):
            state += _lefts(lane, by)
        for lane in lanes:
            state = (state ^ _rounds(np.uint64(0), lane)) * np.uint64(_P1) + np.uint64(_P4)
    else:
        state = np.full(n, _P5, np.uint64)
    state += np.uint64(length)
    while at + 8 <= length:
        state ^= _rounds(np.uint64(0), _words(data, at))
        state = _lefts(state, 27) * np.uint64(_P1) + np.uint64(_P4)
        at += 8
    if at + 4 <= length:
        state ^= _words(data, at, "<u4") * np.uint64(_P1)
        state = _lefts(state, 23) * np.uint64(_P2) + np.uint64(_P3)
        at += 4
    for place in range(at, length):
        state = _lefts(state ^ (data[:, place] * np.uint64(_P5)), 11) * np.uint64(_P1)
    state = (state ^ (state >> np.uint64(33))) * np.uint64(_P2)
    state = (state ^ (state >> np.uint64(29))) * np.uint64(_P3)
    return state ^ (state >> np.uint64(32))


def _words(data: npt.NDArray[np.uint8], at: int, kind: str = "<u8") -> Hashes:
    size = np.dtype(kind).itemsize
    return np.ascontiguousarray(data[:, at : at + size]).view(kind)[:, 0].astype(np.uint64)


def _round(state: int, word: int) -> int:
    state = (state + word * _P2) & _MASK
    return (((state << 31) | (state >> 33)) * _P1) & _MASK


def _rounds(state: Hashes | np.uint64, words: Hashes) -> Hashes:
    return _lefts(state + words * np.uint64(_P2), 31) * np.uint64(_P1)


def _left(state: int, by: int) -> int:
    """Rotated to the left within 64 bits."""
    return ((state << by) | (state >> (64 - by))) & _MASK


def _lefts(state: Hashes, by: int) -> Hashes:
    return (state << np.uint64(by)) | (state >> np.uint64(64 - by))
