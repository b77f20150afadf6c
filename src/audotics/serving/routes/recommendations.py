"""Recommendations for listeners, histories, artists and groups; similar tracks and radio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Query as QueryParameter
from fastapi.routing import APIRoute

from audotics.domain import Block, Context, Query
from audotics.serving.routes.common import ServiceOf, TrackId, UserId, problems, shown
from audotics.serving.routes.parameters import ListenerParameters, checked_id, documented, parsed
from audotics.serving.schemas import MAX_K, Id, RecommendationsAnswer, RecommendationsIn

router = APIRouter(tags=["recommendations"])

K = Annotated[int, QueryParameter(ge=1, le=MAX_K, description="How many tracks.")]
Explain = Annotated[bool, QueryParameter(description="Whether each track says why.")]
RADIO_RULES = {"artist_cap": 3, "order": "flow"}


class _ListenerRoute(APIRoute):
    """The busiest route: its endpoint is called directly, and documented like the others.

    FastAPI's way to an endpoint, through the dependencies of each argument, takes as long as everything
    else that a cached answer needs.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""

        async def handle(request: Request) -> Response:
            user_id = checked_id(request.path_params["user_id"], "user_id")
            return await for_listener(request.app.state.service, user_id, request)

        return handle


async def for_listener(service: ServiceOf, user_id: UserId, request: Request) -> Response:
    """Listeners that training never saw are welcome: their events since, country and hour speak for them."""
    asked = parsed(ListenerParameters, request, lists=frozenset({"exclude"}))
    query = Query(
        user_id=user_id,
        k=asked.k,
        mode=asked.mode,
        exclude=asked.exclude,
        context=Context(device=asked.device, country=asked.country),
    )
    answer = await service.answering.answer(query, explain=asked.explain, signed_up=asked.signed_up)
    return shown(service, answer)


router.add_api_route(
    "/v1/users/{user_id:opaque}/recommendations",
    for_listener,
    methods=["GET"],
    response_model=RecommendationsAnswer,
    responses=problems(),
    openapi_extra=documented(ListenerParameters),
    summary="Recommend tracks to a listener",
    route_class_override=_ListenerRoute,
)


@router.post(
    "/v1/recommendations",
    response_model=RecommendationsAnswer,
    responses=problems(),
    summary="Recommend tracks for a listener, a history, favourite artists or a group",
)
async def for_anybody(service: ServiceOf, wish: RecommendationsIn) -> Response:
    """One listener, an anonymous history (oldest first), favourite artists, or 2 to 50 listeners together."""
    query = Query(
        user_id=wish.user_id,
        history=wish.history,
        k=wish.k,
        mode=wish.mode,
        exclude=wish.exclude,
        context=Context(device=wish.device, country=wish.country),
        artists=wish.artists,
        group=wish.group,
        strategy=wish.strategy,
        weights=wish.weights,
        surface=wish.surface,
        familiarity=wish.familiarity,
        blocked=tuple(Block(one.track_id, one.artist_id, one.until) for one in wish.blocked),
        market=wish.market,
        allow_explicit=wish.allow_explicit,
        rules=wish.rules,
    )
    answer = await service.answering.answer(query, explain=wish.explain, signed_up=wish.signed_up)
    return shown(service, answer)


@router.get(
    "/v1/tracks/{track_id:opaque}/similar",
    response_model=RecommendationsAnswer,
    responses=problems(404),
    summary="Tracks like this one",
)
async def similar(service: ServiceOf, track_id: TrackId, k: K = 10, explain: Explain = True) -> Response:
    """What somebody gets who has heard this one track and nothing else."""
    _known(service, track_id)
    return shown(service, await service.answering.answer(Query(history=(track_id,), k=k), explain=explain))


@router.get(
    "/v1/tracks/{track_id:opaque}/radio",
    response_model=RecommendationsAnswer,
    responses=problems(404),
    summary="A radio that starts from this track",
)
async def radio(
    service: ServiceOf,
    track_id: TrackId,
    k: K = 25,
    user_id: Annotated[Id | None, QueryParameter(description="Whose dislikes are kept out.")] = None,
    explain: Explain = True,
) -> Response:
    """Similar tracks in an order that flows (tempo, energy and key where known), few of each artist."""
    _known(service, track_id)
    query = Query(user_id=user_id, history=(track_id,), k=k, rules=RADIO_RULES)
    return shown(service, await service.answering.answer(query, explain=explain))


def _known(service: ServiceOf, track_id: str) -> None:
    if track_id not in service.models.current.recommender.tracks:
        raise HTTPException(404, f"track {track_id!r} is not in the model")
