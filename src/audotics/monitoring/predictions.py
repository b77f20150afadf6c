"""What scores promised against what happened: accuracy, precision, recall and F1 by version and variant."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.evaluation.collector import MetricsCollector
from audotics.monitoring.scores import RUNG
from audotics.ranking.calibration import fit_sigmoid, sigmoid

FEWEST = 100
"""Tracks shown that a version's calibration needs, and as many to judge it."""


def collect_predictions(outcomes: pl.DataFrame) -> MetricsCollector:
    """Judge each version's prediction that a track shown is played.

    A score orders one list and promises no chance of its own. Its chance is learned as Platt's sigmoid from
    the earlier half of what the version showed, and judged on the later half, which it has not seen. A
    track counts as predicted to be played where its chance is above the share of all tracks that are: one
    half would be above nearly every chance.

    Args:
        outcomes: Columns of `audotics.journal.outcomes.OUTCOMES`, of answers that had time to be played.

    Returns:
        A collector with the groups (version, variant) of versions that showed enough.
    """
    own = outcomes.filter((pl.col("rung") == RUNG) & pl.col("score").is_finite()).sort("at", "request_id")
    collector = MetricsCollector(threshold=float(own["played"].mean() or 0.0))  # type: ignore[arg-type]
    for part in own.partition_by("model_version"):
        half = part.height // 2
        if half < FEWEST:
            continue
        earlier, later = part.head(half), part.slice(half)
        slope, intercept = fit_sigmoid(earlier["score"].to_numpy(), earlier["played"].to_numpy())
        chances = later.with_columns(
            chance=pl.Series(sigmoid(slope * later["score"].to_numpy().astype(np.float64) + intercept))
        )
        for (variant,), shown in chances.group_by("variant"):
            version = part["model_version"][0]
            collector.record(
                version, shown["chance"].to_numpy(), shown["played"].to_numpy(), variant=str(variant)
            )
    return collector
