from __future__ import annotations

import asyncio
import random

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from audotics.serving.cache_connections import CrowdedError, RedisConnections, refused
from contract.loops import in_uvloop
from contract.services import RedisServer
from contract.slow_proxy import SlowProxy


@in_uvloop
async def test_each_command_gets_its_reply_in_order(redis_server: RedisServer) -> None:
    connections = RedisConnections(redis_server.unix_url, 2.0)
    try:
        assert await connections.ask(("PING",), ("ECHO", b"one"), ("INCR", "n"), ("GET", "none")) == [
            b"PONG",
            b"one",
            1,
            None,
        ]
        value = bytes(range(256)) * 400
        assert await connections.ask(("SET", "k", value), ("GET", "k")) == [b"OK", value]
    finally:
        await connections.close()


@in_uvloop
async def test_refusals_are_replies_and_the_connection_stays(redis_server: RedisServer) -> None:
    connections = RedisConnections(redis_server.unix_url, 2.0)
    try:
        first, second, third = await connections.ask(("ECHO", "a"), ("NO-SUCH-COMMAND",), ("ECHO", "b"))
        assert (first, third) == (b"a", b"b")
        assert isinstance(second, ResponseError)
        replies = await connections.ask(("MULTI",), ("SET", "k", "text"), ("LLEN", "k"), ("EXEC",))
        assert [str(refusal)[:9] for refusal in refused(replies)] == ["WRONGTYPE"]
        assert refused([b"OK", [1, None]]) == []
        (clients,) = await connections.ask(("CLIENT", "LIST"))
        assert clients.count(b"\n") == 1
    finally:
        await connections.close()


@in_uvloop
async def test_a_connection_that_the_server_closed_is_replaced(redis_server: RedisServer) -> None:
    connections = RedisConnections(redis_server.unix_url, 2.0)
    try:
        assert await connections.ask(("PING",)) == [b"PONG"]
        redis_server.stop()
        with pytest.raises(RedisConnectionError):
            await connections.ask(("PING",))
        redis_server.start()
        assert await connections.ask(("PING",)) == [b"PONG"]
        redis_server.stop()
        redis_server.start()
        await asyncio.sleep(0.01)  # The loop has to hear of it.
        assert await connections.ask(("PING",)) == [b"PONG"]
    finally:
        await connections.close()


@in_uvloop
async def test_who_finds_no_connection_in_time_does_not_ask(redis_server: RedisServer) -> None:
    async with SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket) as proxy:
        connections = RedisConnections(proxy.url, 0.2, limit=2)
        try:
            await asyncio.gather(*(connections.ask(("PING",)) for _ in range(2)))
            proxy.delay_s = 0.15
            ends = await asyncio.gather(
                *(connections.ask(("INCR", "n")) for _ in range(9)), return_exceptions=True
            )
            proxy.delay_s = 0.0
            crowded = [end for end in ends if isinstance(end, CrowdedError)]
            assert len(crowded) == 5, "two at once, and two more within the time-out"
            assert await connections.ask(("GET", "n")) == [b"4"]
        finally:
            await connections.close()


@in_uvloop
async def test_what_is_under_way_when_it_closes_is_answered_and_hung_up(redis_server: RedisServer) -> None:
    async with SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket, 0.02) as proxy:
        connections = RedisConnections(proxy.url, 2.0)
        asking = asyncio.create_task(connections.ask(("PING",)))
        await asyncio.sleep(0.01)
        await connections.close()
        assert await asking == [b"PONG"]
        assert not connections._idle


@in_uvloop
async def test_no_reply_reaches_another_question(redis_server: RedisServer) -> None:
    """10,000 questions, a third of which are cancelled or run out of time at any moment."""
    draw = random.Random(9)  # noqa: S311 - the test is the same each time
    outcomes = {"answered": 0, "cancelled": 0, "late": 0}

    async def question(connections: RedisConnections, number: int) -> None:
        word = b"%d" % number
        asking = asyncio.create_task(connections.ask(("ECHO", word)))
        if number % 3 == 0:
            await asyncio.sleep(draw.choice((0.0, 0.0005, 0.002, 0.008)))
            asking.cancel()
        try:
            (reply,) = await asking
        except asyncio.CancelledError:
            outcomes["cancelled"] += 1
        except (TimeoutError, CrowdedError):
            outcomes["late"] += 1
        else:
            assert reply == word
            outcomes["answered"] += 1

    async with SlowProxy(redis_server.folder / "proxy.sock", redis_server.unix_socket) as proxy:
        connections = RedisConnections(proxy.url, 0.1)
        try:
            for start in range(0, 10_000, 50):
                proxy.delay_s = 0.12 if start % 500 == 0 else draw.choice((0.0, 0.001, 0.003))
                await asyncio.gather(*(question(connections, start + offset) for offset in range(50)))
        finally:
            await connections.close()
    assert sum(outcomes.values()) == 10_000
    assert min(outcomes.values()) > 300, outcomes
