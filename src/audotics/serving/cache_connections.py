"""A few connections to Redis on which no reply can reach another's question.

Connections of redis-py, but without its client and pool, which cost as much as the round trip itself and let
options in the URL win over time-outs. What is needed of them here is short enough to be sure of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from audotics.errors import BadInputError

Command: TypeAlias = tuple[str | bytes | int, ...]
Reply: TypeAlias = Any
"""What Redis answers: bytes, an integer, a list, None, or a ResponseError where it refused."""


class CrowdedError(Exception):
    """No connection became free in time; Redis itself was not asked."""


class RedisConnections:
    """Up to `limit` connections, opened when needed and kept.

    A connection is used again only after every reply to what was sent on it has been read. After a time-out,
    a cancellation or an error it is closed: what may still arrive on it belongs to nobody.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``; appears in no message, as it may hold a password.
        timeout_s: For all of a question: waiting for a connection, opening it, writing and reading.
        limit: Connections; more questions wait.

    Raises:
        BadInputError: The URL is none.
    """

    def __init__(self, url: str, timeout_s: float, limit: int = 8) -> None:
        self._timeout_s = timeout_s
        self._kind, self._options = _connection_options(url)
        self._idle: list[AbstractConnection] = []
        self._places = asyncio.Semaphore(limit)
        self._closed = False

    async def ask(self, *commands: Command) -> list[Reply]:
        """Send commands in one go and read a reply to each.

        To be awaited in a task that nobody cancels: cancelling is safe, but costs a connection.

        Raises:
            CrowdedError: All connections were taken for the whole time-out.
            TimeoutError: Redis took too long.
            RedisError, OSError: Redis could not be reached, or hung up.
        """
        asked = False
        try:
            async with asyncio.timeout(self._timeout_s), self._places:
                asked = True
                return await self._exchange(commands)
        except TimeoutError:
            if asked:
                raise
            raise CrowdedError from None

    async def close(self) -> None:
        """Close what is idle now, and the others as they end."""
        self._closed = True
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)

    async def _exchange(self, commands: tuple[Command, ...]) -> list[Reply]:
        connection = await self._ready()
        try:
            packed = [piece for command in commands for piece in connection.pack_command(*command)]
            await connection.send_packed_command(packed, check_health=False)
            replies = [await _reply(connection) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        if self._closed:
            await self.close()
        return replies

    async def _ready(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            if await _is_quiet(connection):
                return connection
            await connection.disconnect(nowait=True)
        connection = self._kind(**self._options)
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection


async def _reply(connection: AbstractConnection) -> Reply:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


async def _is_quiet(connection: AbstractConnection) -> bool:
    """Whether it is open, and nothing has arrived on it since the last reply."""
    try:
        return not await connection.can_read()
    except (RedisError, OSError):
        return False


def _connection_options(url: str) -> tuple[type[AbstractConnection], dict[str, Any]]:
    ours = {
        "socket_timeout": None,  # `ask` has one for all steps together.
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # No pushed messages between replies.
        "driver_info": None,  # No round trip for telling the server the library's name.
        "decode_responses": False,
    }
    try:
        given: dict[str, Any] = dict(parse_url(url))
        kind = given.pop("connection_class", Connection)
        options = given | ours
        kind(**options)
    except (ValueError, TypeError, RedisConnectionError):
        # Without the cause: what could not be parsed may be a part of the password.
        raise BadInputError(
            "is not the address of a Redis server",
            where="redis_url",
            remedy="Write redis://[[USER]:PASSWORD@]HOST[:PORT]/DB, rediss://... or unix:///SOCKET?db=DB, "
            "the password percent-encoded",
        ) from None
    return kind, options


def refused(replies: Sequence[Reply]) -> list[ResponseError]:
    """The refusals among the replies, those within a transaction's included."""
    found: list[ResponseError] = []
    for reply in replies:
        if isinstance(reply, ResponseError):
            found.append(reply)
        elif isinstance(reply, list):
            found += refused(reply)
    return found
