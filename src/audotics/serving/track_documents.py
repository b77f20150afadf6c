"""What is put of a track, checked, and as rows of a tracks table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from audotics.data.schema import TRACKS
from audotics.serving.schemas import TrackIn, only_numbers

_MOST = float(np.finfo(np.float32).max)


class TrackDocument(TrackIn):
    """A track of the catalogue; further fields may be named ``feature_...`` and hold numbers."""

    duration_ms: int | None = Field(None, ge=0, le=2**53)

    @field_validator("released")
    @classmethod
    def _is_a_day(cls, released: str | None) -> str | None:
        if released is not None:
            _day(released)
        return released

    @model_validator(mode="after")
    def _extras_are_features(self) -> TrackDocument:
        only_numbers(self)
        for name, value in (self.model_extra or {}).items():
            # Compared before it is made a float: an integer may have any number of digits.
            if value is not None and not -_MOST <= value <= _MOST:
                raise ValueError(f"{name[:64]} must be finite")
        return self

    @property
    def says_something(self) -> bool:
        """Whether it has an artist, an album, genres or tags: what tells who may like the track."""
        texts = (self.artist_id, self.artist, self.album_id, self.album, *self.genres, *self.tags)
        return any(text is not None and text.strip() for text in texts)


def rows_of(documents: Mapping[str, TrackDocument]) -> pl.DataFrame:
    """Documents by track id as rows of a tracks table, with their features and without embeddings."""
    rows = [
        {
            **document.model_dump(),
            "track_id": track_id,
            "released": None if document.released is None else _day(document.released),
            "genres": list(document.genres) or None,
            "tags": list(document.tags) or None,
        }
        for track_id, document in documents.items()
    ]
    known = {name: dtype for name, dtype in TRACKS.items() if name not in {"tagged_by", "embedding"}}
    extras = sorted({name for document in documents.values() for name in document.model_extra or ()})
    columns = known | dict.fromkeys(extras, pl.Float32)
    return pl.DataFrame(
        [
            pl.Series(name, [row.get(name) for row in rows], dtype, strict=False)
            for name, dtype in columns.items()
        ]
    )


def _day(text: str) -> date:
    """The day, or the first one of a year."""
    return date.fromisoformat(text if len(text) > 4 else f"{text}-01-01")
