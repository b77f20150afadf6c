"""Histories as sequences: the last tracks of each listener and the pauses between them.

Training and queries go through `recent_sequences` alike, so what the encoder learns from is made the
way it is asked later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME
from audotics.domain import PADDING, IndexArray, TimeArray

N_PAUSES = 20
"""Classes of pauses: unknown, under a minute, and one for each doubling up to about half a year."""
UNKNOWN_PAUSE = 0

_US_PER_MINUTE = 60_000_000
_FIRST_TIME = 10**12
"""Smaller values of ``Interactions.last_at`` are places in an order, not times (12 days into 1970)."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """The ends of histories, newest last, padded on the left.

    Args:
        tracks: ``[n, length]``, -1 where padded.
        pauses: ``[n, length]``, class of the time from each play to the next one or to the request;
            `UNKNOWN_PAUSE` where there are no times, and where padded.
    """

    tracks: IndexArray
    pauses: IndexArray


def recent_sequences(histories: Interactions, asked_at: TimeArray, length: int) -> Sequences:
    """The last ``length`` tracks of each history.

    Args:
        histories: ``n`` rows.
        asked_at: ``[n]``, time of each request in UTC microseconds, `NO_TIME` if unknown.
        length: How many.
    """
    rows = np.arange(histories.n_rows)
    return sequences_ending(histories, rows, histories.lengths, asked_at, length)


def sequences_ending(
    histories: Interactions, rows: TimeArray, ends: TimeArray, asked_at: TimeArray, length: int
) -> Sequences:
    """The ``length`` tracks of a row before its place ``ends``.

    Args:
        histories: The rows.
        rows: ``[n]`` rows of ``histories``, repeats allowed.
        ends: ``[n]``, as many tracks of the row count, 0 for none.
        asked_at: ``[n]``, as in `recent_sequences`.
        length: How many.
    """
    if not histories.n_pairs:
        shape = (len(rows), length)
        return Sequences(np.full(shape, PADDING, np.int32), np.zeros(shape, np.int32))
    place = ends[:, None] + np.arange(-length, 0)
    present = place >= 0
    pair = np.where(present, histories.indptr[rows][:, None] + place, 0)
    tracks = np.where(present, histories.track_index[pair], PADDING).astype(np.int32)
    at = np.where(present, histories.last_at[pair], NO_TIME)
    until = np.concatenate([at[:, 1:], asked_at[:, None]], axis=1)
    return Sequences(tracks, pause_classes(at, until))


def pause_classes(at: TimeArray, until: TimeArray) -> IndexArray:
    """Class of the time between two moments, of the same shape; `UNKNOWN_PAUSE` where one is no time."""
    known = (at >= _FIRST_TIME) & (until >= _FIRST_TIME)
    minutes = np.maximum(np.where(known, until - at, 0), 0) / _US_PER_MINUTE
    doubling = np.minimum(1 + np.floor(np.log2(1 + minutes)), N_PAUSES - 1)
    return np.where(known, doubling, UNKNOWN_PAUSE).astype(np.int32)
