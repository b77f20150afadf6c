"""What the routes share: the service of the request, answers as bytes, problems in the OpenAPI page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor

from audotics.serving.encoding import Answer
from audotics.serving.schemas import Id
from audotics.serving.service import Service


class _OpaqueId(Convertor[str]):
    """The part of a path that is an id: it may hold whatever text can, escaped slashes and line ends too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("opaque", _OpaqueId())


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOf: TypeAlias = Annotated[Service, Depends(_service)]
UserId: TypeAlias = Annotated[Id, PathParameter(alias="user_id", description="The listener.")]
TrackId: TypeAlias = Annotated[Id, PathParameter(alias="track_id", description="The track.")]

PROBLEM: dict[str, Any] = {
    "description": "What is wrong, as a problem document (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "errors": {
                        "type": "array",
                        "description": "Where the request is not valid: one entry for each place.",
                        "items": {
                            "type": "object",
                            "required": ["field", "reason"],
                            "properties": {
                                "index": {"type": "integer", "description": "Of the event."},
                                "field": {"type": "string"},
                                "reason": {"type": "string"},
                            },
                        },
                    },
                },
            }
        }
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route; every route may refuse a request that is not valid."""
    return dict.fromkeys((400, 401, 403, 413, 422, 429, *statuses), PROBLEM)


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a body that a route reads itself, for `openapi_extra=`: references are filled in."""
    schema = model.model_json_schema()
    filled: dict[str, Any] = _filled(schema, schema.pop("$defs", {}))
    return filled


def _filled(schema: Any, named: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_filled(one, named) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        more = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_filled(named[schema["$ref"].rsplit("/", 1)[1]], named), **more}
    return {key: _filled(value, named) for key, value in schema.items()}


def json_response(payload: bytes) -> Response:
    """Finished bytes: encoding a dictionary in the framework costs several times the rest of the request."""
    return Response(payload, media_type="application/json")


def shown(service: Service, answer: Answer) -> Response:
    """The answer, which is logged as shown."""
    exposure = answer.exposure(datetime.now(UTC))
    service.exposures.record(exposure, answer.rung)
    service.guardrails.shown(exposure)
    return json_response(answer.json())
