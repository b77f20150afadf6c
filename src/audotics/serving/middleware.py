"""What every request passes: a name, a size limit, access, a clock. Plain ASGI: it is on every path."""

from __future__ import annotations

import logging
import random
import re
import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audotics.serving.access import Access
from audotics.serving.problems import problem
from audotics.serving.shedding import LoadShedder

if TYPE_CHECKING:
    from audotics.serving.service import Service

_NAME = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("audotics.access")


class RequestFrame:
    """Wraps the application.

    Args:
        app: What answers.
        access: Who may do what.
        max_body_bytes: Longest request body; a longer one is refused before it is read.
        shedder: Refuses when too much is asked.
    """

    def __init__(self, app: ASGIApp, access: Access, max_body_bytes: int, shedder: LoadShedder) -> None:
        self._app = app
        self._access = access
        self._most = max_body_bytes
        self._shedder = shedder
        self.service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        self._shedder.watch()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _NAME.fullmatch(given) else b"%024x" % random.getrandbits(96)
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        status = 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            refusal = self._access.refusal(scope["method"], scope["path"], headers)
            if refusal is None and self._announced(headers) > self._most:
                refusal = problem(413, self._too_long)
            if refusal is None and scope["path"].startswith("/v1/") and self._shedder.refuses():
                refusal = problem(429, "more is asked than can be answered now", {"Retry-After": "1"})
            if refusal is not None:
                await refusal(scope, receive, named)
                return
            await self._app(scope, self._limited(receive), named)
        finally:
            self._told(scope, status, time.perf_counter() - started, request_id)

    @property
    def _too_long(self) -> str:
        return f"the body is longer than {self._most:,} bytes"

    @staticmethod
    def _announced(headers: dict[bytes, bytes]) -> int:
        length = headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() and len(length) < 19 else 0

    def _limited(self, receive: Receive) -> Receive:
        """Bodies without a length are counted while they come in."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(413, self._too_long)  # where the application reads, so it answers
            return message

        return counted

    def _told(self, scope: Scope, status: int, seconds: float, request_id: bytes) -> None:
        """Count the request, by the route's pattern: paths hold ids."""
        route = getattr(scope.get("route"), "path_format", "none")
        if self.service is not None:
            self.service.metrics.requested(route, scope["method"], status, seconds)
        if _log.isEnabledFor(logging.DEBUG) or status >= 500:
            level = logging.ERROR if status >= 500 else logging.DEBUG
            _log.log(
                level,
                "%s %s %d %.1f ms %s",
                scope["method"],
                route,
                status,
                seconds * 1e3,
                request_id.decode(),
            )
