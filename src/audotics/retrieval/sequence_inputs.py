"""Listening as sequences: the last tracks of a history, and all plays in order to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS, Corpus
from audotics.data.interactions import FIRST_TIME, Interactions
from audotics.data.queries import NO_TIME
from audotics.domain import PADDING, IndexArray, TimeArray

N_PAUSES = 20
"""Classes of pauses: unknown, under a minute, and one for each doubling up to about half a year."""
UNKNOWN_PAUSE = 0

_US_PER_MINUTE = 60_000_000


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


def play_sequences(corpus: Corpus) -> Interactions:
    """Every listener's plays in order, a track as often as it was played, but not twice in a row.

    Queries know each track's last play only. To learn from the same would leave out what each track was
    played after before: on data with repeats that is most of what there is to learn.
    """
    user, track = pl.col("user_index"), pl.col("track_index")
    again = ((user == user.shift()) & (track == track.shift())).fill_null(False)
    plays = (
        corpus.events.filter(pl.col("event").is_in(POSITIVE_EVENTS))
        .select("user_index", "track_index", "at")
        .sort("user_index", "at", maintain_order=True)
        .filter(~again)
    )
    lengths = np.bincount(plays["user_index"].to_numpy(), minlength=corpus.n_users)
    return Interactions(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        plays["track_index"].to_numpy().astype(np.int32),
        np.ones(plays.height, np.float32),
        plays["at"].to_numpy().astype(np.int64),
        corpus.n_tracks,
        corpus.interactions.ordered,
    )


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
    known = (at >= FIRST_TIME) & (until >= FIRST_TIME)
    minutes = np.maximum(np.where(known, until - at, 0), 0) / _US_PER_MINUTE
    doubling = np.minimum(1 + np.floor(np.log2(1 + minutes)), N_PAUSES - 1)
    return np.where(known, doubling, UNKNOWN_PAUSE).astype(np.int32)
