"""Lists of tracks as one: each track once, with its place in every list."""

from __future__ import annotations

import numpy as np

from audotics.domain import PADDING, FloatArray, IndexArray


def union(lists: IndexArray) -> IndexArray:
    """Distinct track indices of each row ``[batch, width]``, ascending, padded with -1 at the end."""
    return ranked_union(lists[:, :0, None], lists, 0)[0]


def ranked_union(lists: IndexArray, also: IndexArray, depth: int) -> tuple[IndexArray, FloatArray]:
    """Distinct tracks of each query's lists, and the place of each track in each list.

    Args:
        lists: ``[batch, n_lists, n]``, best first, padded with -1.
        also: ``[batch, m]``, more tracks, in no list, padded with -1.
        depth: How many places of a list count.

    Returns:
        Tracks ``[batch, width]``, ascending, padded with -1 at the end; ranks ``[batch, n_lists, width]``,
        1 for the first of a list, ``depth + 1`` where the track is not among its first ``depth``.
    """
    batch, n_lists, n = lists.shape
    all_tracks = np.concatenate([lists.reshape(batch, n_lists * n), also], axis=1)
    # One sort brings equal tracks together and remembers where each came from; -1 becomes the largest.
    bits = all_tracks.shape[1].bit_length()
    keys = all_tracks.astype(np.uint32).astype(np.int64) << bits | np.arange(all_tracks.shape[1])
    keys.sort(axis=1)
    tracks, came_from = keys >> bits, keys & ((1 << bits) - 1)
    known = tracks != np.iinfo(np.uint32).max
    fresh = known.copy()
    fresh[:, 1:] &= tracks[:, 1:] != tracks[:, :-1]
    slots = np.cumsum(fresh, axis=1) - 1
    width = max(1, int(slots.max(initial=0)) + 1)
    rows = np.arange(batch)[:, None]
    track_index = np.full((batch, width), PADDING, np.int32)
    track_index.ravel()[(rows * width + slots)[fresh]] = tracks[fresh]
    rank_there = np.concatenate([np.tile(np.arange(1, n + 1), n_lists), np.full(also.shape[1], depth + 1)])
    list_there = np.repeat(np.arange(n_lists + 1), [n] * n_lists + [also.shape[1]])
    rank = rank_there[came_from]
    counted = known & (rank <= depth)
    places = (rows * n_lists + list_there[came_from]) * width + slots
    ranks = np.full((batch, n_lists, width), depth + 1, np.float32)
    ranks.ravel()[places[counted]] = rank[counted]
    return track_index, ranks
