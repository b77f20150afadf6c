from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from audotics.journal.engine import open_engine
from contract.aging import publish_first, write_days


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data of sixteen days and a champion that learned from them."""
    folder = tmp_path_factory.mktemp("first")
    publish_first(write_days(folder / "base", 0, 16), folder / "models")
    return folder


@pytest.fixture
def place(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}", timeout_s=5)
    yield engine
    engine.dispose()
