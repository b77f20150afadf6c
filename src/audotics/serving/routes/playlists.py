"""Playlists: what comes next, in our own words or as JSPF."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Query as QueryParameter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from audotics.domain import Mode, Query
from audotics.errors import BadInputError
from audotics.serving.jspf import MEDIA_TYPE, JspfDocument, read_tracks, write_answer
from audotics.serving.routes.common import ServiceOf, body_schema, problems, shown
from audotics.serving.schemas import MAX_K, PlaylistIn, RecommendationsAnswer
from audotics.serving.titles import tracks_for_title

router = APIRouter(tags=["playlists"])

_JSPF = body_schema(JspfDocument)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [body_schema(PlaylistIn), _JSPF]}},
            MEDIA_TYPE: {"schema": _JSPF},
        },
    }
}


@router.post(
    "/v1/playlists/continue",
    response_model=RecommendationsAnswer,
    responses={**problems(), 200: {"content": {MEDIA_TYPE: {"schema": _JSPF}}}},
    openapi_extra=_BODY,
    summary="Continue a playlist",
)
async def go_on(
    service: ServiceOf,
    request: Request,
    k: Annotated[int, QueryParameter(ge=1, le=MAX_K, description="How many tracks, for a JSPF body.")] = 10,
) -> Response:
    """The next tracks after those so far.

    A body with the field `playlist` is a JSPF document. Without tracks, the most played ones of the artists
    and genres that the title names stand for them. Send `Accept: application/jspf+json` for a JSPF answer.
    """
    recommender = service.models.current.recommender
    given = _parsed(await request.body())
    prefix = ""
    if isinstance(given, JspfDocument):
        so_far = read_tracks(given.playlist, recommender.tracks)
        title, explain, prefix = given.playlist.title, True, so_far.prefix
        query = Query(history=so_far.track_ids, k=k)
    else:
        title, explain = given.title, given.explain
        query = Query(history=given.tracks, k=given.k)
    if not query.history and title:
        seeds = await asyncio.to_thread(tracks_for_title, recommender, title)
        # The tracks that stand for the title have not been played: they may be in it.
        query = Query(history=seeds, k=query.k, mode=Mode.MIX)
    answer = await service.answering.answer(query, explain=explain)
    answered = shown(service, answer)
    if MEDIA_TYPE not in request.headers.get("accept", ""):
        return answered
    at = datetime.now(UTC).isoformat(timespec="seconds")
    document = write_answer(answer, title, recommender.tracks, recommender.track_table, at, prefix)
    return Response(document, media_type=MEDIA_TYPE, headers={"Vary": "Accept"})


def _parsed(raw: bytes) -> PlaylistIn | JspfDocument:
    """The body, by its form.

    Raises:
        BadInputError: It is not JSON.
        RequestValidationError: It is neither of the two.
    """
    try:
        document: Any = from_json(raw)
    except ValueError as error:
        raise BadInputError("the body is not JSON", where="body") from error
    model: type[BaseModel] = PlaylistIn
    if isinstance(document, dict) and "playlist" in document:
        model = JspfDocument
    try:
        parsed = model.model_validate(document)
    except ValidationError as error:
        places = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_context=False)]
        raise RequestValidationError(places) from error
    assert isinstance(parsed, PlaylistIn | JspfDocument)  # noqa: S101
    return parsed
