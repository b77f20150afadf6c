"""The client for code that runs on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self

import httpx

from audotics.client import calls
from audotics.client.answers import EventsTaken
from audotics.client.calls import Call, Event, Result
from audotics.client.exchange import RETRIED, arguments, options, result_of, unreachable
from audotics.client.retries import Retries

Given = ParamSpec("Given")


def _sent(
    build: Callable[Given, Call[Result]],
) -> Callable[Concatenate[AsyncClient, Given], Awaitable[Result]]:
    """A method that sends what `build` makes of its arguments."""

    @wraps(build)
    async def method(self: AsyncClient, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        return await self.send(build(*args, **kwargs))

    return method


class AsyncClient:
    """A connection to a server; keep one and share it.

    Args:
        base_url: Such as ``http://localhost:8000``.
        api_key: Where the server asks for one.
        timeout_s: Longest wait of each try for a connection (a second at most), sending, and the answer.
        retries: When to try again.
        transport: How bytes travel; None is the network.

    Raises:
        ClientError: From every method: see `audotics.client.errors`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(**options(base_url, api_key, timeout_s), transport=transport)

    recommendations = _sent(calls.recommendations)
    recommend = _sent(calls.recommend)
    similar = _sent(calls.similar)
    radio = _sent(calls.radio)
    continue_playlist = _sent(calls.continue_playlist)
    put_track = _sent(calls.put_track)
    erase = _sent(calls.erase)
    health = _sent(calls.health)

    async def send_events(self, events: Sequence[Event]) -> EventsTaken:
        """Tell what listeners did; returns when what is valid is on the server's disk.

        Any number: requests have 1,000 each. Give events ids of your own where you may have to send all of
        them again because a request failed for good.
        """
        return calls.together([await self.send(call) for call in calls.events(events)])

    async def send(self, call: Call[Result]) -> Result:
        """Send one request, again where that helps."""
        tries = 0
        while True:
            tries += 1
            answer, failure = None, None
            try:
                answer = await self._http.request(**arguments(call))
            except RETRIED as error:
                failure = error
            pause = self._retries.pause(tries, answer)
            if pause is not None:
                await asyncio.sleep(pause)
            elif answer is not None:
                return result_of(call, answer)
            elif failure is not None:
                raise unreachable(failure, tries) from failure

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
