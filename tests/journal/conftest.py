"""The journal on each of its databases, both real."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from audotics.domain import Exposure
from audotics.journal import EventJournal, JournalEvent, open_engine

PATIENT_S = 10.0
"""Time-out where a test is not about it: the machine may be busy."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    given: str = request.getfixturevalue("postgresql")
    return given


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url, timeout_s=PATIENT_S)
    yield engine
    engine.dispose()


@pytest.fixture
def journal(engine: Engine) -> EventJournal:
    return EventJournal(engine)


@pytest.fixture
def make_event() -> Callable[..., JournalEvent]:
    """An event that differs from all others; arguments replace its fields."""
    number = itertools.count(1)

    def make(**fields: object) -> JournalEvent:
        n = next(number)
        return JournalEvent(
            **{"event_id": f"e{n}", "user_id": "anna", "track_id": f"t{n}", "at_us": n * 1_000_000, **fields}  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def make_exposure() -> Callable[..., Exposure]:
    """An exposure of three tracks; arguments replace its fields."""
    number = itertools.count(1)

    def make(**fields: object) -> Exposure:
        n = next(number)
        given = {
            "request_id": f"r{n}",
            "user_id": "anna",
            "at": datetime(2026, 5, 4, 12, 30, 0, 123_456, tzinfo=UTC),
            "track_ids": ("t1", "t2", "t3"),
            "scores": np.array([0.1, 2.5, -1e-7], np.float32),
            "propensities": np.array([1, 1 / 3, 0.05], np.float32),
            "model_version": "20260504T000000Z-1a2b",
            "variant": "",
        }
        return Exposure(**given | fields)  # type: ignore[arg-type]

    return make
