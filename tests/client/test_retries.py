"""When a client tries again, how long it waits, and what it says when it gives up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.client import (
    AsyncClient,
    BusyError,
    Client,
    ClientError,
    Event,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    Retries,
    ServerFaultError,
    UnreachableError,
)
from audotics.client.retries import retry_after
from audotics.errors import AudoticsError
from contract.services import free_port

HEALTHY = {"status": "ok", "model_version": "v", "trouble": []}
QUICK = Retries(first_s=0.001, longest_s=0.002)

Ask = Callable[..., Any]


def ask_sync(url: str, verb: str, *given: Any, retries: Retries = QUICK, **options: Any) -> Any:
    with Client(url, retries=retries, **options) as client:
        return getattr(client, verb)(*given)


def ask_async(url: str, verb: str, *given: Any, retries: Retries = QUICK, **options: Any) -> Any:
    async def asked() -> Any:
        async with AsyncClient(url, retries=retries, **options) as client:
            return await getattr(client, verb)(*given)

    return asyncio.run(asked())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param


@pytest.mark.parametrize("status", [429, 503, 507, None])
def test_what_may_succeed_later_is_tried_again(scripted, ask: Ask, status: int | None):
    scripted.says(status, {"detail": "later"}).says(status, {"detail": "later"}).says(200, HEALTHY)
    assert ask(scripted.url, "health").status == "ok"
    assert len(scripted.asked) == 3


@pytest.mark.parametrize("status", [500, 502, 504])
def test_what_a_balancer_says_of_a_server_that_went_away_is_tried_again(scripted, ask: Ask, status: int):
    scripted.says(status, b"<h1>Bad Gateway</h1>").says(status, b"").says(200, HEALTHY)
    assert ask(scripted.url, "health").status == "ok"
    assert len(scripted.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (404, NotFoundError),
        (409, InvalidRequestError),
        (413, InvalidRequestError),
        (422, InvalidRequestError),
        (500, ServerFaultError),
        (502, ServerFaultError),
        (301, ServerFaultError),
    ],
)
def test_what_is_wrong_is_told_at_once_with_its_document(
    scripted, ask: Ask, status: int, kind: type[ClientError]
):
    problem = {"status": status, "detail": "no such thing", "errors": [{"field": "k", "reason": "too large"}]}
    scripted.says(status, problem)
    with pytest.raises(kind, match="no such thing") as raised:
        ask(scripted.url, "recommendations", "u1")
    assert type(raised.value) is kind
    assert isinstance(raised.value, AudoticsError)
    assert (raised.value.status, raised.value.problem) == (status, problem)
    assert raised.value.errors == problem["errors"]
    assert len(scripted.asked) == 1


def test_it_gives_up_after_its_attempts(scripted, ask: Ask):
    for _ in range(4):
        scripted.says(503, {"detail": "the event log is behind"})
    with pytest.raises(BusyError, match="behind") as raised:
        ask(scripted.url, "health")
    assert raised.value.status == 503
    assert len(scripted.asked) == 4


def test_nobody_listens(ask: Ask):
    with pytest.raises(UnreachableError, match="no answer in 4 tries") as raised:
        ask(f"http://127.0.0.1:{free_port()}", "health")
    assert raised.value.status == 0


def test_a_server_that_hangs_costs_no_more_than_the_time_out(ask: Ask):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="ReadTimeout"):
            ask(
                f"http://127.0.0.1:{silent.getsockname()[1]}",
                "health",
                timeout_s=0.1,
                retries=Retries(2, first_s=0.001),
            )
        assert time.monotonic() - began < 2


def test_it_waits_as_long_as_the_server_asks(scripted, ask: Ask):
    scripted.says(429, {}, Retry_After="1").says(200, HEALTHY)
    began = time.monotonic()
    ask(scripted.url, "health")
    assert time.monotonic() - began >= 1


def test_it_does_not_wait_for_longer_than_it_has_patience(scripted, ask: Ask):
    scripted.says(503, {"detail": "tomorrow"}, Retry_After="86400")
    began = time.monotonic()
    with pytest.raises(BusyError, match="tomorrow"):
        ask(scripted.url, "health")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"tracks": 1}', b'{"tracks": [{}]}'])
def test_what_no_server_of_ours_says_is_an_error(scripted, ask: Ask, body: bytes):
    scripted.says(200, body)
    with pytest.raises(ServerFaultError, match="not one of an Audotics server"):
        ask(scripted.url, "recommendations", "u1")


def test_a_problem_without_a_document_is_one_all_the_same(scripted, ask: Ask):
    scripted.says(404, b"<h1>nginx</h1>")
    with pytest.raises(NotFoundError):
        ask(scripted.url, "recommendations", "u1")


def test_events_keep_ids_and_times_over_retries(scripted, ask: Ask):
    taken = {"accepted": 1, "duplicates": 1, "rejected": 0, "errors": []}
    scripted.says(None).says(503, {}).says(200, taken)
    result = ask(scripted.url, "send_events", [Event("u", "t"), Event("u", "t", event_id="mine")])
    assert (result.accepted, result.duplicates, result.errors) == (1, 1, ())
    bodies = [json.loads(body) for _, _, body in scripted.asked]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len(bodies[0][0]["event_id"]) == 32
    assert bodies[0][1]["event_id"] == "mine"
    assert datetime.fromisoformat(bodies[0][0]["timestamp"]).tzinfo is not None


def test_many_events_are_sent_in_parts_and_told_by_their_place(scripted, ask: Ask):
    error = {"index": 3, "field": "event", "reason": "unknown"}
    scripted.says(200, {"accepted": 999, "duplicates": 1, "errors": []})
    scripted.says(422, {"detail": "no event is valid", "errors": [error]})
    result = ask(scripted.url, "send_events", [Event("u", "t")] * 1500)
    assert [len(json.loads(body)) for _, _, body in scripted.asked] == [1000, 500]
    assert (result.accepted, result.duplicates) == (999, 1)
    assert [(one.index, one.field) for one in result.errors] == [(1003, "event")]


def test_no_events_need_no_request(scripted, ask: Ask):
    assert ask(scripted.url, "send_events", []).accepted == 0
    assert scripted.asked == []


@given(
    draw=st.floats(0, 1, exclude_max=True),
    tries=st.integers(1, 20),
    asked=st.none() | st.integers(0, 100),
    attempts=st.integers(1, 20),
)
def test_pauses_grow_and_are_bounded(draw: float, tries: int, asked: int | None, attempts: int):
    retries = Retries(attempts, first_s=0.1, longest_s=5.0, most_patient_s=30.0, draw=lambda: draw)
    answer = httpx.Response(503, headers={} if asked is None else {"Retry-After": str(asked)})
    pause = retries.pause(tries, answer)
    if tries >= attempts or (asked or 0) > 30:
        assert pause is None
    else:
        assert pause == max(asked or 0, draw * min(5.0, 0.1 * 2 ** (tries - 1)))
    assert retries.pause(tries, httpx.Response(404)) is None


def test_a_pause_may_be_asked_for_as_a_date():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    assert 8 < retry_after(httpx.Response(503, headers={"Retry-After": soon})) <= 10
    past = format_datetime(datetime.now(UTC) - timedelta(days=1))
    for text in (past, "", "soon", "-3", "1.5"):
        assert retry_after(httpx.Response(503, headers={"Retry-After": text})) == 0
