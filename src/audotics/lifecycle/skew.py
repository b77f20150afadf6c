"""Training/serving skew: whether a version answers from its files as it did in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from audotics.domain import Mode, Query
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.recommender import Recommender

LENGTH = 20

UNLIMITED = 1e9
"""Stands for the difference of scores of which one is not a number."""


class Skew(BaseModel):
    """How far two paths to the same lists lie apart.

    Args:
        n_lists: Listeners asked both ways.
        score_difference: Largest difference of the scores of one track in one list, in standard deviations
            of that list's scores; 0 where no list shares a track, which ``swapped`` tells.
        swapped: Share of places that hold a track which the other list does not hold.
        offline: What answered many at once: ``in memory`` as it was trained, or ``files``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_lists: int
    score_difference: float
    swapped: float
    offline: str


def measure_skew(served: Recommender, user_ids: Sequence[str], *, offline: Recommender | None = None) -> Skew:
    """Ask for the same listeners' lists offline, many at once, and as a server does, one after another.

    Args:
        served: Loaded from the published files (`bundle.load`), scored as the server scores (LiteRT).
        user_ids: Whom to ask for.
        offline: The recommender in memory that was published; None asks ``served`` for many at once.
    """
    many = BatchProcessor(offline or served, n_threads=1).table(user_ids, LENGTH, Mode.DISCOVER)
    slates = served.recommend([])
    for user_id in user_ids:
        slates += served.recommend([Query(user_id=user_id, k=LENGTH, mode=Mode.DISCOVER)])
    single = pl.DataFrame(
        {
            "user_id": np.repeat(np.asarray(user_ids, object), [len(slate.track_ids) for slate in slates]),
            "track_id": [track_id for slate in slates for track_id in slate.track_ids],
            "score": np.concatenate([np.zeros(0, np.float32), *(slate.scores for slate in slates)]),
        },
        schema={"user_id": pl.String, "track_id": pl.String, "score": pl.Float32},
    )
    return compared(many, single, n_lists=len(user_ids), offline="files" if offline is None else "in memory")


def compared(many: pl.DataFrame, single: pl.DataFrame, *, n_lists: int, offline: str) -> Skew:
    """The distance of two tables of lists with columns ``user_id``, ``track_id`` and ``score``."""
    both = many.join(single, on=["user_id", "track_id"], suffix="_single")
    apart = (pl.col("score").cast(pl.Float64) - pl.col("score_single").cast(pl.Float64)).abs()
    lists = both.group_by("user_id").agg(
        apart.nan_max().alias("apart"), pl.col("score").std().alias("spread")
    )
    # Lists whose scores are all equal have no spread to measure by: there a difference counts as it is.
    unit = pl.when(pl.col("spread") > 0).then("spread").otherwise(1.0)
    largest = lists.select((pl.col("apart") / unit).fill_nan(UNLIMITED).max()).item()
    n_places = max(many.height, single.height)
    return Skew(
        n_lists=n_lists,
        score_difference=min(float(largest or 0.0), UNLIMITED),
        swapped=(n_places - both.height) / n_places if n_places else 0.0,
        offline=offline,
    )
