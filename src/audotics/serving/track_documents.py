"""What is put of a track, checked, and as rows of a tracks table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from pydantic import Field, field_validator, model_validator

from audotics.journal.track_frames import day, track_frame
from audotics.serving.schemas import TrackIn, only_numbers

_MOST = float(np.finfo(np.float32).max)


class TrackDocument(TrackIn):
    """A track of the catalogue; further fields may be named ``feature_...`` and hold numbers."""

    duration_ms: int | None = Field(None, ge=0, le=2**53)

    @field_validator("released")
    @classmethod
    def _is_a_day(cls, released: str | None) -> str | None:
        if released is not None:
            day(released)
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
    return track_frame({track_id: document.model_dump() for track_id, document in documents.items()})
