"""What systems are measured against without having learned anything."""

from __future__ import annotations

import numpy as np

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, IndexArray

OWN_MOST_PLAYED = "own most played"
"""Name of `most_played` among the systems of a report."""


def most_played(histories: Interactions, k: int) -> IndexArray:
    """The baseline "own most played": each listener's tracks by plays, among equals the latest first.

    Nothing but what was heard, and no forgetting: a track that is played no more keeps its place.

    Args:
        histories: What the listeners have heard.
        k: Length of the lists.

    Returns:
        ``[n_rows, k]`` tracks, best first, padded with -1.
    """
    rows = histories.row_index
    order = np.lexsort((histories.tracks_since, -histories.plays, rows))
    place = np.arange(histories.n_pairs) - np.repeat(histories.indptr[:-1], histories.lengths)
    lists = np.full((histories.n_rows, k), PADDING, np.int32)
    shown = place < k
    lists[rows[shown], place[shown]] = histories.track_index[order][shown]
    return lists
