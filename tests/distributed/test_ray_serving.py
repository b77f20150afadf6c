"""The HTTP API on Ray Serve: the contract of the plain server, and what replicas change about it."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import httpx
import pytest

from audotics.distributed.serving import Replicas, deploy, placed, withdraw
from audotics.distributed.workers import RayWorkers
from audotics.errors import BadInputError
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.settings import Settings
from contract.ray_server import RayServer
from contract.services import free_port, wait_until
from contract.small_version import publish_small

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"), pytest.mark.timeout(900)]

ROUTE_TESTS = Path(__file__).parents[1] / "serving"
ROUTES = ("recommendation", "event", "feature")
INSIDE = {"app", "reactions"}
"""Names by which tests look into the process of the plain server."""


class Models:
    """A folder of two versions; the first is the champion."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = publish_small(folder)
        self.second = publish_small(folder, seed=1, promote=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("ray-serve") / "models")


@pytest.fixture(scope="module")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayServer]:
    """Two replicas."""
    started = RayServer(tmp_path_factory.mktemp("ray-server"), models.folder, deadline_ms=5000)
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def api(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One replica, in which a request sees at once what the one before has said, as in one worker."""
    alone = RayServer(tmp_path_factory.mktemp("ray-alone"), models.folder, 1, deadline_ms=5000)
    alone.start()
    with httpx.Client(base_url=alone.url, timeout=30) as client:
        yield client
    alone.stop()


def test_the_application_serves_on_a_cluster_that_runs(
    ray_workers: RayWorkers, models: Models, tmp_path: Path
) -> None:
    journal = f"sqlite:///{tmp_path / 'journal.db'}"
    settings = Settings(models=models.folder, port=free_port(), database_url=journal, deadline_ms=5000)
    url = deploy(settings, Replicas())
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            assert client.get("/health/ready").status_code == 200
            said = client.get("/v1/users/u003/recommendations", params={"k": 4}).json()
            assert said["model_version"] == models.first
            assert [track["rank"] for track in said["tracks"]] == [1, 2, 3, 4]
            event = {"user_id": "new", "track_id": "t001", "event": "play"}
            assert client.post("/v1/events", json=event).status_code in (200, 201, 202)
            assert client.get("/v1/nothing").status_code == 404
            assert "audotics_answers_total" in client.get("/metrics").text
    finally:
        withdraw()


def test_settings_travel_without_the_folder_they_were_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = placed(Settings(models="here", rules="rules.toml", database_url="sqlite:///a/journal.db"))
    assert (settings.models, settings.rules, settings.keys) == (
        tmp_path / "here",
        tmp_path / "rules.toml",
        None,
    )
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/a/journal.db"
    elsewhere = "postgresql+psycopg://me:secret@host/log"
    assert placed(Settings(database_url=elsewhere)).database_url.get_secret_value() == elsewhere


@pytest.mark.parametrize(("least", "most"), [(0, 1), (3, 2)])
def test_impossible_numbers_of_replicas_are_refused(least: int, most: int) -> None:
    with pytest.raises(BadInputError, match="replicas cannot be"):
        Replicas(least, most)


def _shared_checks() -> list[FunctionType]:
    """Tests of the plain server that ask over HTTP alone."""
    found = []
    for name in ROUTES:
        for function in vars(_module(ROUTE_TESTS / f"test_{name}_routes.py")).values():
            is_test = inspect.isfunction(function) and function.__name__.startswith("test_")
            if is_test and set(inspect.signature(function).parameters) <= {"api", "models", "listener"}:
                reaches_inside = INSIDE & set(function.__code__.co_names)
                found += [] if reaches_inside else [function]
    return found


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"shared_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("check", _shared_checks(), ids=lambda check: check.__name__)
def test_the_contract_is_that_of_the_plain_server(
    check: Callable[..., None], api: httpx.Client, models: Models
) -> None:
    given = {"api": api, "models": models, "listener": f"stranger-{check.__name__}"}
    check(**{name: given[name] for name in inspect.signature(check).parameters})


@pytest.mark.slow
def test_a_track_that_one_replica_takes_is_known_to_all(server: RayServer) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        track = {"title": "Blow", "artist_id": "a12", "artist": "Band 12", "genres": ["bebop"]}
        assert client.put("/v1/tracks/fresh", json=track).status_code == 201
        wait_until(
            lambda: {client.get("/v1/tracks/fresh/similar").status_code for _ in range(8)} == {200},
            "every replica knows it",
        )


@pytest.mark.slow
def test_a_killed_replica_is_replaced_and_patient_clients_notice_nothing(server: RayServer) -> None:
    from audotics.client import Client

    before = server.replicas()
    assert len(before) == 2
    failures: list[str] = []
    over = threading.Event()

    def ask() -> None:
        with Client(server.url) as client:
            while not over.is_set():
                try:
                    client.recommendations("u003", k=4)
                except Exception as error:
                    failures.append(repr(error))
                time.sleep(0.01)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    time.sleep(1)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: len(set(server.replicas()) - set(before)) == 1, "another replica", 60)
    time.sleep(2)
    over.set()
    for asker in askers:
        asker.join()
    assert not failures


@pytest.mark.slow
def test_replicas_follow_the_champion(server: RayServer, models: Models) -> None:
    registry = Registry(models.folder)

    def version() -> str:
        return str(server.get("/v1/users/u017/recommendations?k=3")[1]["model_version"])

    assert version() == models.first
    registry.set_alias(CHAMPION, models.second)
    try:
        wait_until(lambda: {version() for _ in range(8)} == {models.second}, "the other version")
    finally:
        registry.set_alias(CHAMPION, models.first)


@pytest.mark.slow
def test_it_ends_orderly(models: Models, tmp_path: Path) -> None:
    server = RayServer(tmp_path, models.folder, n_replicas=1)
    server.start()
    assert json.loads(httpx.get(f"{server.url}/health/ready").text)
    assert server.terminate() == 0
