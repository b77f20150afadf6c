"""Exposures of the journal as tables for analysis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from audotics.data.schema import TIMESTAMP

COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "request_id": pl.String,
    "user_id": pl.String,
    "timestamp": TIMESTAMP,
    "track_ids": pl.List(pl.String),
    "scores": pl.List(pl.Float32),
    "propensities": pl.List(pl.Float32),
    "model_version": pl.String,
    "variant": pl.String,
    "rung": pl.String,
}


def exposure_frame(rows: Sequence[Any]) -> pl.DataFrame:
    """Rows of the exposures table as a table with `COLUMNS`."""
    values = {
        "request_id": [row.request_id for row in rows],
        "user_id": [row.user_id for row in rows],
        "timestamp": pl.Series([row.at_us for row in rows], dtype=pl.Int64).cast(TIMESTAMP),
        "track_ids": [json.loads(row.track_ids) for row in rows],
        "scores": [np.frombuffer(row.scores, "<f4") for row in rows],
        "propensities": [np.frombuffer(row.propensities, "<f4") for row in rows],
        "model_version": [row.model_version for row in rows],
        "variant": [row.variant for row in rows],
        "rung": [row.rung for row in rows],
    }
    return pl.DataFrame(values, schema=COLUMNS)


def with_teams(frame: pl.DataFrame, rows: Sequence[Any]) -> pl.DataFrame:
    """The same rows with ``teams``, a list of text: null but for interleaved slates."""
    teams = [None if row.teams is None else json.loads(row.teams) for row in rows]
    return frame.with_columns(pl.Series("teams", teams, pl.List(pl.String)))
