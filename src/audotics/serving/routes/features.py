"""What scikit-learn makes of tracks and listeners, for whoever wants the features themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import polars as pl
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audotics.data.schema import TRACKS, USERS
from audotics.errors import BadInputError
from audotics.registry import Registry
from audotics.serving.routes.common import ServiceOf, json_response, problems
from audotics.serving.schemas import Id, Short, TrackIn, only_numbers
from audotics.serving.service import Service

if TYPE_CHECKING:
    from audotics.features.processor import DataProcessor

MAX_ROWS = 1000

router = APIRouter(tags=["features"])

_Day = Annotated[str, Field(pattern=r"^\d{4}(-\d{2}-\d{2})?$", description="Date or year.")]
_Vector = Annotated[tuple[float, ...], Field(max_length=4096)]


class TrackRow(TrackIn):
    """A row of a tracks table; what is unknown may be missing."""

    track_id: Id | None = None
    embedding: _Vector | None = None

    @model_validator(mode="after")
    def _extras_are_features(self) -> TrackRow:
        only_numbers(self)
        return self


class UserRow(BaseModel):
    """A row of a users table; further fields may be named ``feature_...`` and hold numbers."""

    model_config = ConfigDict(frozen=True, extra="allow")

    user_id: Id | None = None
    country: Short | None = None
    birth_year: int | None = Field(None, ge=1850, le=2200)
    gender: Short | None = None
    signed_up: _Day | None = None

    @model_validator(mode="after")
    def _extras_are_features(self) -> UserRow:
        only_numbers(self)
        return self


class TracksIn(BaseModel):
    """Tracks whose features are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tracks: tuple[TrackRow, ...] = Field(max_length=MAX_ROWS)


class UsersIn(BaseModel):
    """Listeners whose features are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[UserRow, ...] = Field(max_length=MAX_ROWS)


class FeaturesAnswer(BaseModel):
    """One vector for each row, in the order of the request."""

    model_version: str
    names: list[str] = Field(description="Of the columns.")
    features: list[list[float]]


@router.post(
    "/v1/features/tracks",
    response_model=FeaturesAnswer,
    responses=problems(404, 409),
    summary="Features of tracks",
)
async def of_tracks(service: ServiceOf, wanted: TracksIn) -> Response:
    """What the version's fitted scikit-learn pipeline makes of up to 1,000 rows of a tracks table.

    The first request loads scikit-learn into the server, which takes seconds and some 130 MB.
    """
    return await asyncio.to_thread(_answer, service, "tracks", wanted.tracks, TRACKS)


@router.post(
    "/v1/features/users",
    response_model=FeaturesAnswer,
    responses=problems(404, 409),
    summary="Features of listeners",
)
async def of_users(service: ServiceOf, wanted: UsersIn) -> Response:
    """What the version's fitted scikit-learn pipeline makes of up to 1,000 rows of a users table."""
    return await asyncio.to_thread(_answer, service, "users", wanted.users, USERS)


def _answer(service: Service, table: str, rows: Sequence[BaseModel], schema: dict[str, Any]) -> Response:
    version = service.models.current.version
    path = Registry(service.settings.models).folder(version) / "features" / f"{table}.skops"
    if not path.exists():
        raise HTTPException(404, f"version {version} holds no pipeline for {table}; train again")
    processor = _processor(path)
    frame = _frame([row.model_dump() for row in rows], schema, processor.columns_)
    features = processor.transform(frame)
    dense = features.toarray() if hasattr(features, "toarray") else features
    return json_response(
        orjson.dumps(
            {
                "model_version": version,
                "names": processor.get_feature_names_out().tolist(),
                "features": dense.tolist(),
            }
        )
    )


@lru_cache(maxsize=4)
def _processor(path: Path) -> DataProcessor:
    from audotics.features.persistence import load_processor  # scikit-learn, only where somebody asks

    return load_processor(path)


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any], kinds: dict[str, str | int]) -> pl.DataFrame:
    """Rows as the table that the processor was fitted on: unknown cells are null.

    Raises:
        BadInputError: A date is none, or a vector has another length than those of training.
    """
    wanted = {name: dtype for name, dtype in schema.items() if rows and name in rows[0]}
    wanted |= {name: schema.get(name, pl.Float64) for name in kinds if name not in wanted}
    columns = []
    for name, dtype in wanted.items():
        cells = [row.get(name) for row in rows]
        if dtype == pl.Date:
            cells = [None if cell is None else _day(cell, name) for cell in cells]
        length = kinds.get(name)
        if isinstance(length, int) and any(cell is not None and len(cell) != length for cell in cells):
            raise BadInputError(f"vectors of this model have {length} numbers", where=name)
        columns.append(pl.Series(name, cells, dtype=dtype, strict=False))
    return pl.DataFrame(columns)


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text if len(text) > 4 else f"{text}-01-01")
    except ValueError:
        raise BadInputError(f"{text!r} is no date", where=name) from None
