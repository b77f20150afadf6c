"""Documents of tracks as rows of a tracks table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl

from audotics.data.schema import FEATURE_PREFIX, TRACKS

_NOT_PUT = frozenset({"track_id", "tagged_by", "embedding"})


def track_frame(documents: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Documents by track id as rows of a tracks table, with their features and without embeddings.

    Args:
        documents: For each track what `TrackJournal` keeps of it: columns of `audotics.data.schema.TRACKS`
            (``released`` as ISO 8601 text, a day or a year) and ``feature_*`` numbers; absent is unknown.
    """
    known = {name: dtype for name, dtype in TRACKS.items() if name not in _NOT_PUT}
    named = {name for document in documents.values() for name in document}
    extras = sorted(name for name in named if name.startswith(FEATURE_PREFIX))
    columns = {
        name: pl.Series(
            name, [_value(name, row.get(name)) for row in documents.values()], dtype, strict=False
        )
        for name, dtype in (known | dict.fromkeys(extras, pl.Float32)).items()
    }
    return pl.DataFrame([pl.Series("track_id", list(documents), pl.String), *columns.values()])


def _value(name: str, value: Any) -> Any:
    if name == "released":
        return None if value is None else day(value)
    return list(value) or None if name in {"genres", "tags"} and value is not None else value


def day(text: str) -> date:
    """The day, or the first one of a year.

    Raises:
        ValueError: It is neither.
    """
    return date.fromisoformat(text if len(text) > 4 else f"{text}-01-01")
