"""Errors over HTTP: problem documents (RFC 9457), one shape for everything that goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from audotics.errors import (
    AudoticsError,
    BadInputError,
    DamagedError,
    RefusedError,
    StorageFullError,
    UnavailableError,
)

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("audotics.serving")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """A problem document."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(orjson.dumps(document | more), status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""
    app.add_exception_handler(AudoticsError, _on_purpose)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _on_purpose(request: Request, error: Exception) -> Response:
    if isinstance(error, StorageFullError):
        return problem(507, str(error))
    if isinstance(error, UnavailableError):
        return problem(503, str(error), {"Retry-After": str(max(1, ceil(error.retry_after_s)))})
    if isinstance(error, BadInputError):
        return problem(400, str(error))
    if isinstance(error, DamagedError | RefusedError):
        return problem(409, str(error))
    return await _bug(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [
        {"field": ".".join(str(part) for part in one["loc"]), "reason": one["msg"]} for one in error.errors()
    ]
    first = f"{errors[0]['field']}: {errors[0]['reason']}" if errors else "the request is not valid"
    return problem(422, first, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem(error.status_code, str(error.detail), error.headers)


async def _bug(request: Request, error: Exception) -> Response:
    _log.error(
        "bug on %s %s",
        request.method,
        request.scope["route"].path if "route" in request.scope else "?",
        exc_info=error,
    )
    return problem(500, "the server made a mistake; it is in its log")
