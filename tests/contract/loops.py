"""Tests that are coroutines, each in an event loop of its own: the server's kind (uvloop), or asyncio's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

import uvloop

Given = ParamSpec("Given")


def in_loop(test: Callable[Given, Awaitable[None]]) -> Callable[Given, None]:
    """Run the test in asyncio's own loop."""
    return _run_by(asyncio.new_event_loop, test)


def in_uvloop(test: Callable[Given, Awaitable[None]]) -> Callable[Given, None]:
    """Run the test in the loop of the server."""
    return _run_by(uvloop.new_event_loop, test)


def _run_by(
    new_loop: Callable[[], asyncio.AbstractEventLoop], test: Callable[Given, Awaitable[None]]
) -> Callable[Given, None]:
    @wraps(test)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        complaints: list[str] = []

        async def watched() -> None:
            # What asyncio would only log (a lost error, a lost task) fails the test.
            asyncio.get_running_loop().set_exception_handler(
                lambda _, context: complaints.append(repr(context))
            )
            await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(watched())
        assert not complaints, complaints

    return run
