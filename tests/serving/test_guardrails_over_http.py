"""Guardrails in real servers: a fleet agrees, caches keep to their versions, operators see what happened."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving.guardrails.reports import read_reports
from contract.bad_versions import publish_bad
from contract.planted_server import PlantedServer
from contract.services import wait_until

if TYPE_CHECKING:
    from conftest import Models

Start = Callable[..., PlantedServer]


@pytest.fixture
def start_planted(tmp_path: Path) -> Iterator[Start]:
    started: list[PlantedServer] = []

    def start(models: Models, fault: str, **settings: object) -> PlantedServer:
        folder = tmp_path / f"planted-{len(started)}"
        folder.mkdir()
        given = {"deadline_ms": 5000, **settings}
        server = PlantedServer(folder, models.folder, fault, models.second, **given)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


def ask(server: PlantedServer, listener: int, more: str = "") -> dict[str, Any]:
    status, said = server.get(f"/v1/users/u{listener:03d}/recommendations?k=10{more}")
    assert status == 200, said
    return said


def ask_all(server: PlantedServer, n: int = 30) -> list[dict[str, Any]]:
    return [ask(server, listener) for listener in range(n)]


def serving(server: PlantedServer) -> object:
    return server.get("/health/ready")[1].get("model_version")


def all_serve(server: PlantedServer, version: str, times: int = 12) -> bool:
    """Whether every worker does, as far as so many questions tell."""
    return all(serving(server) == version for _ in range(times))


def test_operators_see_probation_drop_and_metrics(own_models: Models, start_planted: Start) -> None:
    server = start_planted(own_models, "raises")
    registry = Registry(own_models.folder)
    registry.set_alias(CHAMPION, own_models.second)
    wait_until(lambda: serving(server) == own_models.second, "the server follows")
    probation: Any = server.get("/v1/models")[1]["probation"]
    assert (probation["version"], probation["previous"]) == (own_models.second, own_models.first)
    assert {"failing", "slow", "late", "skipped", "unpopular", "alike"} <= set(probation["checks"])
    for listener in range(5):
        assert ask(server, listener)["model_version"] == own_models.first, "the old one stands in"
    wait_until(lambda: registry.alias(CHAMPION) == own_models.first, "the alias is rolled back")
    said: Any = server.get("/v1/models")[1]
    assert said["probation"] is None
    assert said["serving"] == own_models.first
    assert [one["version"] for one in said["dropped"]] == [own_models.second]
    assert said["dropped"][0]["reason"].startswith("failing")
    text = metrics(server)
    assert 'audotics_guardrail_drops_total{check="failing"} 1.0' in text
    assert "audotics_guardrail_probation 0.0" in text
    wait_until(lambda: read_reports(own_models.folder), "the report is there")
    (report,) = read_reports(own_models.folder)
    assert report.host
    assert report.version == own_models.second


def test_a_rollback_resurrects_no_answer_of_what_was_dropped(
    own_models: Models, start_planted: Start, redis_server: Any
) -> None:
    """Two workers, and Redis between them: after the drop every answer is the first version's."""
    bad = publish_bad(own_models.folder, "upside_down")
    server = start_planted(own_models, "", workers=2, redis_url=redis_server.url)
    before = ask_all(server)
    assert {one["model_version"] for one in before} == {own_models.first}
    registry = Registry(own_models.folder)
    registry.set_alias(CHAMPION, bad)
    wait_until(lambda: serving(server) == bad, "a worker follows")
    during, number, until = ask_all(server), 0, time.monotonic() + 30
    while registry.alias(CHAMPION) == bad and time.monotonic() < until:
        ask(server, number % 90, f"&exclude=none-{number}")
        number += 1
    assert bad in {one["model_version"] for one in during}
    wait_until(lambda: read_reports(own_models.folder), "the report is there")
    assert {report.version for report in read_reports(own_models.folder)} == {bad}
    wait_until(lambda: all_serve(server, own_models.first), "all workers go back")
    after = ask_all(server) + ask_all(server)
    assert {one["model_version"] for one in after} == {own_models.first}
    for old, new in zip(before + before, after, strict=True):
        assert tracks(old) == tracks(new)
    # What was kept of the first version from before the swap still holds: nobody's events made it stale.
    assert Counter(one["served_from"] for one in after)["cache"] > len(after) / 2


def test_an_event_while_another_version_served_ends_answers_of_before(
    own_models: Models, start_planted: Start
) -> None:
    server = start_planted(own_models, "")
    registry = Registry(own_models.folder)
    before = ask(server, 7)
    registry.set_alias(CHAMPION, own_models.second)
    wait_until(lambda: serving(server) == own_models.second, "the server follows")
    played = tracks(before)[0]
    post(server, "/v1/events", {"event_id": "e", "user_id": "u007", "track_id": played, "event": "play"})
    registry.rollback(CHAMPION)
    wait_until(lambda: serving(server) == own_models.first, "the server goes back")
    after = ask(server, 7)
    assert after["served_from"] == "computed"
    assert played not in tracks(after)


def test_servers_of_a_fleet_agree(own_models: Models, start_planted: Start) -> None:
    """One notices and rolls the alias back, once; the other, which nobody asks, follows."""
    first, second = start_planted(own_models, "raises"), start_planted(own_models, "raises")
    registry = Registry(own_models.folder)
    registry.set_alias(CHAMPION, own_models.second)
    for server in (first, second):
        wait_until(lambda server=server: serving(server) == own_models.second, "both follow")
    for listener in range(5):
        ask(first, listener)
    for server in (first, second):
        wait_until(lambda server=server: serving(server) == own_models.first, "both go back")
    assert registry.moves(CHAMPION)[-2:] == [("set", own_models.second), ("rollback", own_models.first)]
    assert second.get("/v1/models")[1]["probation"] is None


def tracks(said: dict[str, Any]) -> list[str]:
    return [track["track_id"] for track in said["tracks"]]


def metrics(server: PlantedServer) -> str:
    return httpx.get(f"{server.url}/metrics", timeout=10).text


def post(server: PlantedServer, path: str, body: dict[str, Any]) -> None:
    httpx.post(server.url + path, json=body, timeout=10).raise_for_status()
