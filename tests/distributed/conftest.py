"""One small Ray cluster for all tests of this folder: it takes seconds to start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from audotics.distributed.workers import RayWorkers


@pytest.fixture(scope="session")
def ray_workers() -> Iterator[RayWorkers]:
    """Two workers, whose processes find the tests' own modules."""
    import ray

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
    try:
        yield RayWorkers(2)
    finally:
        ray.shutdown()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
