"""The scores that a version gives to what it shows, earlier and later in its life."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.distributions import Distribution

SCORES = "score"
DEPTH = 10
"""Only so many places of a slate count: the scores of long slates reach further down."""

RUNG = "personalised"
"""Answers of the lower rungs have scores that nobody learned."""


def score_distributions(exposures: pl.DataFrame, version: str) -> tuple[Distribution, Distribution] | None:
    """Scores of the earlier and of the later half (by time) of a version's answers.

    Scores are comparable inside one version only, so a version is its own reference. A change means that
    listeners, contexts or features have become others than those it met at first.

    Args:
        exposures: Columns of `audotics.journal.exposure_frames`.
        version: Whose answers count.

    Returns:
        None where there are fewer than two answers.
    """
    own = exposures.filter((pl.col("model_version") == version) & (pl.col("rung") == RUNG)).sort("timestamp")
    if own.height < 2:
        return None
    half = own.height // 2
    (values, listeners), (later_values, later_listeners) = _scores(own.head(half)), _scores(own.slice(half))
    earlier = Distribution.of_numbers(values, listeners)
    return earlier, earlier.like(later_values, later_listeners)


def _scores(exposures: pl.DataFrame) -> tuple[pl.Series, npt.NDArray[np.integer[Any]]]:
    """Each score, and a number for its listener; answers for nobody in particular stand for themselves."""
    listener = pl.coalesce("user_id", "request_id").rank("dense") - 1
    shown = exposures.select(listener=listener, score=pl.col("scores").list.head(DEPTH)).explode("score")
    return shown["score"], shown["listener"].to_numpy()
