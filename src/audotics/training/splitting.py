"""The ways to hide events in training, by name."""

from __future__ import annotations

from typing import Literal

import polars as pl

from audotics.data.splits import (
    Split,
    choose_split,
    split_by_time,
    split_last_n,
    split_last_share,
    split_random,
    split_yambda,
)

SplitName = Literal["auto", "time", "yambda", "last-one", "last-share", "random"]
"""What the setting ``split`` accepts."""

TIME_SHARE = 0.15


def named_split(events: pl.DataFrame, way: SplitName, seed: int) -> Split:
    """Split events in the named way.

    ``auto`` takes global time where there are times and the end of each listener's own order where there
    are positions, except where most listeners' positions have gaps: there tracks were taken out of the
    middle, so what a model will be asked for lies in the middle too, and the split is random. Without
    times and positions it is random.

    Args:
        events: Events with the columns of ``schema.EVENTS``.
        way: Which.
        seed: Seed of a random split.
    """
    if way == "time":
        return split_by_time(events, test_share=TIME_SHARE)
    if way == "yambda":
        return split_yambda(events)
    if way == "last-one":
        return split_last_n(events, 1)
    if way == "last-share":
        return split_last_share(events)
    if way == "random" or (events["timestamp"].null_count() == events.height and _has_gaps(events)):
        return split_random(events, seed=seed)
    return choose_split(events, seed=seed)


def _has_gaps(events: pl.DataFrame) -> bool:
    """Whether the positions of most listeners leave places out."""
    position = pl.col("position")
    spread = (
        events.drop_nulls("position")
        .group_by("user_id")
        .agg((position.max() - position.min() + 1 > position.n_unique()).alias("gaps"))
    )
    return bool(spread.height and spread["gaps"].to_numpy().mean() > 0.5)
