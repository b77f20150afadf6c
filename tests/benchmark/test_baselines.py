"""Popularity and most played, by hand."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.benchmark.peers.popularity import MostPlayed, Popularity
from audotics.benchmark.protocol import Resources
from audotics.data.interactions import Interactions

ONE = Resources(threads=1, seed=0)


def interactions(rows: list[tuple[int, int, int]]) -> Interactions:
    """Rows of listener, track and plays, oldest first; five tracks."""
    frame = pl.DataFrame(
        rows, schema={"user_index": pl.Int32, "track_index": pl.Int32, "plays": pl.Float32}, orient="row"
    )
    return Interactions.from_events(frame.with_row_index("at").cast({"at": pl.Int64}), 3, 5, ordered=True)


HEARD = interactions([(0, 3, 1), (0, 1, 9), (1, 3, 2), (1, 0, 2), (1, 4, 1), (2, 3, 1), (2, 1, 1)])


def test_popular_is_what_most_listeners_heard_however_often():
    lists = Popularity({}, ONE).fit(HEARD).recommend(np.array([0, 1], np.int32), 4, include_heard=True)
    np.testing.assert_array_equal(lists, [[3, 1, 0, 4], [3, 1, 0, 4]])
    unheard = Popularity({}, ONE).fit(HEARD).recommend(np.array([0, 1], np.int32), 3, include_heard=False)
    np.testing.assert_array_equal(unheard, [[0, 4, 2], [1, 2, -1]])


def test_most_played_comes_first_and_the_latest_of_equals():
    lists = MostPlayed({}, ONE).fit(HEARD).recommend(np.array([0, 1, 2], np.int32), 4, include_heard=True)
    np.testing.assert_array_equal(lists, [[1, 3, -1, -1], [0, 3, 4, -1], [1, 3, -1, -1]])
