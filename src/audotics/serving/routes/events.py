"""Events: what listeners did."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from audotics.serving.problems import problem
from audotics.serving.routes.common import ServiceOf, json_response, problems
from audotics.serving.schemas import MAX_EVENTS, EventIn, EventsAnswer

router = APIRouter(tags=["events"])

_EVENT = EventIn.model_json_schema()
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [_EVENT, {"type": "array", "items": _EVENT, "maxItems": MAX_EVENTS}],
                }
            }
        },
    }
}


@router.post(
    "/v1/events",
    response_model=EventsAnswer,
    responses=problems(503, 507),
    openapi_extra=_BODY,
    summary="Tell what listeners did",
)
async def tell(service: ServiceOf, request: Request) -> Response:
    """One event or up to 1,000. The answer comes when the accepted ones are on the disk.

    Events that are not valid are told by their place in the request; the others count all the same. An event
    sent again under the same ``event_id`` counts once. The next recommendation knows of them.
    """
    taken = await service.ingestion.take(await request.body())
    if taken.errors and not (taken.accepted or taken.duplicates):
        return problem(422, "no event is valid", errors=taken.errors)
    return json_response(taken.json())
