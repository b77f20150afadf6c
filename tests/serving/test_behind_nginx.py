"""Three servers behind nginx share PostgreSQL, Redis and models: one may die, all may change the model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from contract.audotics_server import AudoticsServer
from contract.load import scaled, under_load
from contract.nginx import Nginx
from contract.services import wait_until

PER_SECOND = 40


@dataclass
class Cluster:
    """The balancer and the servers behind it."""

    nginx: Nginx
    servers: list[AudoticsServer]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.nginx.port}"


@pytest.fixture
def cluster(own_models, tmp_path: Path, redis_server, postgresql: str) -> Iterator[Cluster]:
    settings = {"database_url": postgresql, "redis_url": redis_server.url, "deadline_ms": 1e3 * scaled(0.1)}
    with ExitStack() as running:
        servers = []
        for number in range(3):
            folder = tmp_path / f"server-{number}"
            folder.mkdir()
            server = AudoticsServer(folder, own_models.folder, **settings)
            running.callback(server.stop)
            servers.append(server)
        with ThreadPoolExecutor(3) as starting:
            list(starting.map(AudoticsServer.start, servers))
        folder = tmp_path / "nginx"
        folder.mkdir()
        nginx = Nginx(folder, [server.port for server in servers])
        running.callback(nginx.stop)
        nginx.start()
        yield Cluster(nginx, servers)


def wishes(number: int) -> tuple[str, str, bytes]:
    """GET and POST in turn: both must survive."""
    if number % 2:
        wish = {"user_id": f"u{number % 90:03d}", "k": 5 + number % 20}
        return "POST", "/v1/recommendations", json.dumps(wish).encode()
    return "GET", f"/v1/users/u{number % 90:03d}/recommendations?k={5 + number % 20}", b""


def test_one_of_three_servers_is_killed(cluster: Cluster, fault_counts):
    check_that_it_is_one_service(cluster)
    with under_load(cluster.nginx.port, PER_SECOND, wishes) as load:
        time.sleep(0.7)
        cluster.servers[0].kill()
        time.sleep(1.5)
        cluster.servers[0].start()
        time.sleep(0.7)
    fault_counts("nginx: one of three servers killed", load.outcome.counts())
    assert set(load.outcome.statuses) == {200}, load.outcome.counts()


def check_that_it_is_one_service(cluster: Cluster) -> None:
    odd = "a/b c%"
    path = f"/v1/users/{quote(odd, safe='')}/recommendations"
    with httpx.Client(base_url=cluster.url) as client:
        said = client.get(path).json()
        assert said["user_id"] == odd
        played = said["tracks"][0]["track_id"]
        event = {"user_id": odd, "track_id": played, "event_id": "one"}
        assert client.post("/v1/events", json=event).json()["accepted"] == 1
        assert client.post("/v1/events", json=event).json()["duplicates"] == 1
        assert client.post("/v1/events", content=b"x" * 2_000_000).status_code == 413
        assert client.get("/metrics").status_code == 404
    for server in cluster.servers:
        wait_until(lambda server=server: played not in shown(server, path), "every server knows of the event")


def shown(server: AudoticsServer, path: str) -> list[str]:
    return [track["track_id"] for track in server.get(path)[1]["tracks"]]


@pytest.mark.slow
def test_all_servers_restart_in_turn_and_change_the_model(cluster: Cluster, own_models, fault_counts):
    with under_load(cluster.nginx.port, PER_SECOND, wishes) as load:
        for server in cluster.servers:
            assert server.terminate() == 0
            server.start()
    fault_counts("nginx: all three servers restarted in turn", load.outcome.counts())
    assert set(load.outcome.statuses) == {200}, load.outcome.counts()

    with under_load(cluster.nginx.port, PER_SECOND, wishes) as load:
        time.sleep(0.3)
        Registry(own_models.folder).set_alias(CHAMPION, own_models.second)
        for server in cluster.servers:
            wait_until(
                lambda server=server: server.get("/v1/models")[1].get("serving") == own_models.second,
                "every server follows the alias",
            )
        time.sleep(0.3)
    fault_counts("nginx: model changed under load", load.outcome.counts())
    assert set(load.outcome.statuses) == {200}, load.outcome.counts()
    assert set(load.outcome.versions) == {own_models.first, own_models.second}
