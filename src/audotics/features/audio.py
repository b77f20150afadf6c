"""The numeric side of tracks (audio features, content vectors) as one dense block."""

from __future__ import annotations

import numpy as np
import polars as pl

from audotics.data.schema import FEATURE_PREFIX
from audotics.domain import FloatArray
from audotics.features.columns import find_columns


def audio_features(track_table: pl.DataFrame, n_components: int = 32) -> FloatArray:
    """Standardised and reduced audio features ``[n_tracks, n_components or fewer]``.

    Duration, ``feature_*`` columns and ``embedding`` count as audio. A track of which none is known
    has a row of zeros, the average of all tracks; a catalogue without audio has no columns.

    Args:
        track_table: The tracks table (``schema.TRACKS``), one row per track in index order.
        n_components: How many columns at most.
    """
    audio = [
        name
        for name, kind in find_columns(track_table).items()
        if kind not in ("text", "terms") and _is_audio(name)
    ]
    if not audio:
        return np.zeros((track_table.height, 0), dtype=np.float32)
    # Only here: catalogues without audio should not wait for scikit-learn.
    from audotics.features.processor import DataProcessor

    table = track_table.select(audio)
    known = table.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    described = table.filter(known)
    processor = DataProcessor(k=None, n_components=n_components).fit(described)
    out = np.zeros((track_table.height, processor.n_features_out_), dtype=np.float32)
    out[known] = processor.transform(described)
    return out


def _is_audio(name: str) -> bool:
    return name in ("duration_ms", "embedding") or name.startswith(FEATURE_PREFIX)
