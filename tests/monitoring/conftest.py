"""A simulated service: the reference that a version of its first weeks would keep, and what follows."""

from __future__ import annotations

import pytest

from audotics.monitoring.reference import Reference
from contract.monitored import World, simulated


@pytest.fixture(scope="session")
def world() -> World:
    """Shared; tests must not change it."""
    return simulated()


@pytest.fixture(scope="session")
def reference(world: World) -> Reference:
    """Of a version trained on the first four weeks."""
    return world.reference()
