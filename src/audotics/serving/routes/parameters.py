"""Query parameters of the busiest routes: one model each, checked in one step, documented from its schema.

FastAPI's own handling of single parameters takes three times as long as the rest of a cached answer.
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from audotics.domain import Mode
from audotics.serving.schemas import MAX_HISTORY, MAX_K, Id, Moment, Short


class ListenerParameters(BaseModel):
    """What a listener's recommendations may be asked with."""

    model_config = ConfigDict(frozen=True)

    k: int = Field(10, ge=1, le=MAX_K, description="How many tracks.")
    mode: Mode = Field(Mode.DISCOVER, description="Whether heard tracks may appear.")
    device: Short | None = Field(None, description="Device of the listener.")
    country: Short | None = Field(None, description="Country of the listener, by the code that events have.")
    signed_up: Moment | None = Field(
        None, description="When the listener signed up, for experiments with new listeners."
    )
    exclude: tuple[Id, ...] = Field((), max_length=MAX_HISTORY, description="Tracks to leave out.")
    explain: bool = Field(True, description="Whether each track says why.")


_Model = TypeVar("_Model", bound=BaseModel)


def parsed(model: type[_Model], request: Request, lists: frozenset[str] = frozenset()) -> _Model:
    """The parameters of a request.

    Args:
        model: What they must be.
        request: Whose query string.
        lists: Parameters that may be given more than once.

    Raises:
        RequestValidationError: One is not as the model says.
    """
    given: dict[str, Any] = {}
    raw: bytes = request.scope["query_string"]
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True) if raw else ():
        if name in lists:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        places = [{**one, "loc": ("query", *one["loc"])} for one in error.errors(include_context=False)]
        raise RequestValidationError(places) from error


def checked_id(value: str, name: str) -> str:
    """An id out of a path.

    Raises:
        RequestValidationError: It is empty, too long, or no text.
    """
    try:
        return _ID.validate_python(value)
    except ValidationError as error:
        places = [{**one, "loc": ("path", name)} for one in error.errors(include_context=False)]
        raise RequestValidationError(places) from error


_ID: TypeAdapter[str] = TypeAdapter(Id)


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra=` of a route."""
    schema = model.model_json_schema()
    shared = schema.get("$defs", {})
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": field.pop("description", ""),
                "schema": _inlined(field, shared),
            }
            for name, field in schema["properties"].items()
        ]
    }


def _inlined(field: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without references, which would point outside the parameter."""
    reference = field.pop("$ref", None)
    return field if reference is None else {**shared[reference.rsplit("/", 1)[1]], **field}
