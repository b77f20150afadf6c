"""Playlists: what comes next."""

from __future__ import annotations

from fastapi import APIRouter, Response

from audotics.domain import Query
from audotics.serving.routes.common import ServiceOf, problems, shown
from audotics.serving.schemas import PlaylistIn, RecommendationsAnswer

router = APIRouter(tags=["playlists"])


@router.post(
    "/v1/playlists/continue",
    response_model=RecommendationsAnswer,
    responses=problems(),
    summary="Continue a playlist",
)
async def go_on(service: ServiceOf, playlist: PlaylistIn) -> Response:
    """The next tracks after those so far."""
    query = Query(history=playlist.tracks, k=playlist.k)
    return shown(service, await service.answering.answer(query, explain=playlist.explain))
