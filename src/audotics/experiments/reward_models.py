"""Models of rewards for the direct and the doubly robust estimator, fitted on other listeners' rows.

A model that has seen a row's own reward predicts it too well, and the doubly robust correction of it
shrinks to nothing. So listeners are split into folds and each fold is predicted by a model fitted
on the others (Chernozhukov et al., "Double/debiased machine learning", Econometrics Journal 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np
import polars as pl

from audotics.experiments.sequential import Array

N_FOLDS = 3


class RewardModel(Protocol):
    """Predicts what a track earns at a place."""

    def fit(self, rows: pl.DataFrame) -> Self:
        """Learn from rows with user_id, track_id, position and reward."""
        ...

    def predict(self, rows: pl.DataFrame) -> Array:
        """Mean reward of rows with user_id, track_id and position ``[n_rows]``."""
        ...


class TrackMeans:
    """The mean reward of each track, drawn towards the mean of all by a few imagined showings.

    Args:
        strength: How many showings at the mean of all each track starts with.
    """

    def __init__(self, strength: float = 20.0) -> None:
        self.strength = strength

    def fit(self, rows: pl.DataFrame) -> Self:
        """Learn the means from track_id and reward."""
        self.level_ = float(rows["reward"].cast(pl.Float64).to_numpy().mean()) if rows.height else 0.0
        total, n = pl.col("reward").sum(), pl.len()
        self.means_ = rows.group_by("track_id").agg(
            mean=(total + self.strength * self.level_) / (n + self.strength)
        )
        return self

    def predict(self, rows: pl.DataFrame) -> Array:
        """The mean of each row's track ``[n_rows]``; of all tracks for one that was never shown."""
        found = rows.select("track_id").join(self.means_, on="track_id", how="left", maintain_order="left")
        return found["mean"].fill_null(self.level_).cast(pl.Float64).to_numpy()


def cross_fitted(
    new_model: Callable[[], RewardModel],
    logged: pl.DataFrame,
    target: pl.DataFrame,
    n_folds: int = N_FOLDS,
) -> tuple[Array, Array]:
    """Predictions for logged rows, and the target's mean prediction at each of their places.

    Args:
        new_model: Makes a model that is not fitted.
        logged: request_id, user_id, track_id, position and reward, one row per track shown.
        target: request_id, position, track_id and probability: what the target would show there.
        n_folds: Into how many parts listeners are split.

    Returns:
        ``[n_rows]`` each, in the order of ``logged``: prediction of what was shown, and of the target.
    """
    fold = logged["user_id"].fill_null("").hash(seed=0) % n_folds
    rows = logged.with_row_index("row").with_columns(fold=fold)
    wanted = target.join(rows.select("row", "fold", "user_id", "request_id", "position"), on=_PLACE)
    of_row, of_target = np.zeros(rows.height), np.zeros(rows.height)
    for number in range(n_folds):
        own, others = rows.filter(pl.col("fold") == number), rows.filter(pl.col("fold") != number)
        if own.is_empty():
            continue
        model = new_model().fit(others if others.height else own)
        of_row[own["row"].to_numpy()] = model.predict(own)
        asked = wanted.filter(pl.col("fold") == number)
        weighted = asked["probability"].to_numpy() * model.predict(asked)
        of_target += np.bincount(asked["row"].to_numpy(), weighted, rows.height)
    return of_row, of_target


_PLACE = ["request_id", "position"]
