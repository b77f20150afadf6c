"""The HTTP service over small versions: in this process for most tests, as a child process for the rest."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from audotics.serving.app import create_app
from audotics.settings import Settings
from contract.audotics_server import AudoticsServer
from contract.small_version import publish_small

StartServer = Callable[..., AudoticsServer]
OpenApi = Callable[..., TestClient]


@dataclass(frozen=True)
class Models:
    """A folder of two versions; the first is the champion."""

    folder: Path
    first: str
    second: str


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Made once for all tests, which must not change it."""
    folder = tmp_path_factory.mktemp("small") / "models"
    return Models(folder, publish_small(folder), publish_small(folder, seed=1, promote=False))


@pytest.fixture
def own_models(models: Models, tmp_path: Path) -> Models:
    """A copy that a test may change."""
    shutil.copytree(models.folder, tmp_path / "models")
    return Models(tmp_path / "models", models.first, models.second)


def in_process(folder: Path, **settings: object) -> TestClient:
    """The application in this process; bugs become problem documents, as for real clients."""
    given = {
        "database_url": f"sqlite:///{folder / 'journal.db'}",
        "deadline_ms": 5000,
    }
    app = create_app(Settings(**{**given, **settings}))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def api(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An application that tests share: let each use listeners of its own."""
    with in_process(tmp_path_factory.mktemp("api"), models=models.folder) as client:
        yield client


@pytest.fixture
def open_api(models: Models, tmp_path: Path) -> Iterator[OpenApi]:
    """Opens applications with other settings."""
    with ExitStack() as opened:
        yield lambda **settings: opened.enter_context(
            in_process(tmp_path, **{"models": models.folder, **settings})
        )


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers as child processes; those that run at the end are stopped."""
    started: list[AudoticsServer] = []

    def start(models: Models, *, port: int | None = None, **settings: object) -> AudoticsServer:
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        server = AudoticsServer(folder, models.folder, port, **settings)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def fault_counts() -> Callable[[str, dict[str, object]], None]:
    """Keeps what was counted under a fault, for `scripts/measure_faults.py`."""

    def keep(fault: str, counts: dict[str, object]) -> None:
        print(f"{fault}: {json.dumps(counts)}")
        path = os.environ.get("AUDOTICS_FAULT_COUNTS")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"fault": fault, **counts}) + "\n")

    return keep


_numbers = itertools.count(1)


@pytest.fixture
def listener() -> str:
    """Somebody whom neither training nor another test knows."""
    return f"stranger-{next(_numbers)}"
