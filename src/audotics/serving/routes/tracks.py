"""Tracks: added or changed while serving."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from audotics.serving.routes.common import ServiceOf, TrackId, json_response, problems
from audotics.serving.track_documents import TrackDocument

router = APIRouter(tags=["tracks"])


class TrackAnswer(BaseModel):
    """What became of a track. It is on the disk."""

    track_id: str
    recommendable: bool = Field(description="Whether it is recommended from now on.")
    note: str = Field(description="Why not, or what holds.")


@router.put(
    "/v1/tracks/{track_id:opaque}",
    response_model=TrackAnswer,
    responses={**problems(503, 507), 201: {"model": TrackAnswer, "description": "It is new"}},
    summary="Add or change a track",
)
async def put(service: ServiceOf, track_id: TrackId, document: TrackDocument) -> Response:
    """The answer comes when the document is on the disk; it takes the place of an earlier one.

    A track that the model does not know is recommended within two seconds to those who play its like: tracks
    by the same artist, from the same album, with its genres or tags. What changes of a track that the model
    knows counts after the next training. The first track that a server gets may wait some seconds.
    """
    served = service.models.current
    standing = await asyncio.to_thread(service.live_tracks.put, track_id, document, served)
    payload = {"track_id": track_id, "recommendable": standing.recommendable, "note": standing.note}
    answer = json_response(orjson.dumps(payload))
    answer.status_code = 201 if standing.is_new else 200
    return answer
