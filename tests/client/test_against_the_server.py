"""Both clients against the real server."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audotics.client import (
    AsyncClient,
    Client,
    Event,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    Retries,
)
from audotics.serving.access import KeyFile, Scope
from contract.audotics_server import AudoticsServer
from contract.small_version import publish_small


class Sync:
    """The synchronous client under the names of the other."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = Client(url, **options)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.client, verb)


class OnALoop:
    """The asynchronous client, waited for."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = AsyncClient(url, **options)
        self.loop = asyncio.new_event_loop()

    def __getattr__(self, verb: str) -> Any:
        return lambda *given, **named: self.loop.run_until_complete(
            getattr(self.client, verb)(*given, **named)
        )


@pytest.fixture(scope="module")
def operator_key() -> list[str]:
    return []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, operator_key: list[str]) -> Iterator[AudoticsServer]:
    folder = tmp_path_factory.mktemp("served")
    publish_small(folder / "models")
    operator_key.append(KeyFile(folder / "keys.json").create("operator", Scope.ADMIN))
    server = AudoticsServer(folder, folder / "models", keys=folder / "keys.json", deadline_ms=5000)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=[Sync, OnALoop], ids=["sync", "async"])
def client(request: pytest.FixtureRequest, server: AudoticsServer, operator_key: list[str]) -> Iterator[Any]:
    made = request.param(server.url, api_key=operator_key[0])
    yield made
    made.close()


def name(client: object) -> str:
    return f"{type(client).__name__}-{time.perf_counter_ns()}"


def test_recommendations(client: Any):
    slate = client.recommendations("u001", k=5, mode="mix", device="phone", exclude=["t000", "t001"])
    assert (slate.user_id, slate.rung, slate.degraded) == ("u001", "personalised", ())
    assert [track.rank for track in slate.tracks] == [1, 2, 3, 4, 5]
    assert not {"t000", "t001"} & set(slate.track_ids)
    assert slate.tracks[0].reason
    assert client.recommendations("u001", explain=False).tracks[0].reason is None


def test_a_wish_with_a_body(client: Any):
    slate = client.recommend(artists=["a10", "a11"], k=7, rules={"artist_cap": 2})
    assert (slate.user_id, len(slate.tracks)) == (None, 7)
    with pytest.raises(InvalidRequestError, match="loudness") as raised:
        client.recommend(loudness=11)
    assert raised.value.errors[0]["field"] == "body.loudness"


def test_tracks_and_playlists(client: Any):
    assert len(client.similar("t001", k=3).tracks) == 3
    assert len(client.radio("t001", k=4, user_id="u001").tracks) == 4
    assert len(client.continue_playlist(["t001", "t002"], k=6).tracks) == 6
    assert client.continue_playlist(title="Cumbia").tracks
    with pytest.raises(NotFoundError, match="t999"):
        client.similar("t999")


def test_events_and_their_effect(client: Any):
    who = name(client)
    slate = client.recommendations(who)
    sent = [
        Event(who, slate.track_ids[0], "like", event_id=f"{who}-1", request_id=slate.request_id),
        Event(who, slate.track_ids[1], "applaud"),
        Event(
            who,
            slate.track_ids[2],
            timestamp=datetime.now(UTC) - timedelta(minutes=3),
            context={"context_mood": "x"},
        ),
    ]
    taken = client.send_events(sent)
    assert (taken.accepted, taken.duplicates) == (2, 0)
    assert [(error.index, error.field) for error in taken.errors] == [(1, "event")]
    assert client.send_events(sent[:1]).duplicates == 1
    assert not {slate.track_ids[0], slate.track_ids[2]} & set(client.recommendations(who).track_ids)
    nothing = client.send_events([Event(who, "", "play")])
    assert (nothing.accepted, len(nothing.errors)) == (0, 1)


def test_more_events_than_a_request_may_hold(client: Any):
    who = name(client)
    assert client.send_events([Event(who, f"t{number % 90:03d}") for number in range(2500)]).accepted == 2500


@pytest.mark.parametrize("odd", ["a/b", "two words", 'say "hi"', "100%", "?k=1#x", "日本", "..", "new\nline"])
def test_ids_survive_the_way(client: Any, odd: str):
    assert client.recommendations(odd).user_id == odd
    assert client.erase(odd).user_id == odd


def test_erasing(client: Any):
    who = name(client)
    client.send_events([Event(who, "t001"), Event(who, "t002")])
    assert client.erase(who).erased_events >= 2
    assert client.erase(who).erased_events == 0


def test_adding_a_track(client: Any):
    put = client.put_track(name(client), title="New", artist_id="a10", artist="Band 10", genres=["bebop"])
    assert put.note


def test_health(client: Any, server: AudoticsServer):
    health = client.health()
    assert (health.status, health.trouble) == ("ok", ())
    assert health.model_version


def test_a_wrong_key(server: AudoticsServer):
    with Client(server.url, api_key="aud_wrong") as client, pytest.raises(NotAllowedError) as raised:
        client.recommendations("u001")
    assert raised.value.status == 401


def test_a_restart_in_between_is_bridged(tmp_path):
    publish_small(tmp_path / "models")
    server = AudoticsServer(tmp_path, tmp_path / "models", deadline_ms=5000)
    server.start()
    with Client(server.url, retries=Retries(attempts=12, first_s=0.2, longest_s=2.0)) as client:
        client.send_events([Event("u", "t001", event_id="before")])
        server.kill()
        import threading

        starting = threading.Thread(target=server.start)
        starting.start()
        assert client.send_events([Event("u", "t001", event_id="before")]).duplicates == 1
        starting.join()
    server.stop()


def test_both_clients_offer_the_same():
    def offered(kind: type) -> dict[str, list[str]]:
        public = {one: getattr(kind, one) for one in dir(kind) if not one.startswith("_")}
        return {one: list(inspect.signature(method).parameters) for one, method in public.items()}

    assert offered(Client) == offered(AsyncClient)
    for kind in (Client, AsyncClient):
        for verb in offered(kind):
            assert getattr(kind, verb).__doc__, verb


def test_the_client_needs_nothing_of_the_server():
    script = "import sys, audotics.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert not loaded & {"numpy", "polars", "pydantic", "fastapi", "sqlalchemy", "sklearn", "orjson"}
