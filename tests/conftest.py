"""Stands here so that every test can import the shared checks: ``from contract.<name> import ...``."""

import gc

import pytest
from hypothesis import settings

# On shared cores a deadline per example measures the neighbours; pytest-timeout ends what hangs.
settings.register_profile("audotics", deadline=None)
settings.load_profile("audotics")

# Real Redis and PostgreSQL, started for the tests that ask for them.
pytest_plugins = ["contract.services"]


@pytest.fixture(scope="module", autouse=True)
def old_objects_are_left_out_of_collections():
    """TensorFlow and all modules are millions of objects: a full collection takes a quarter of a second."""
    gc.collect()
    gc.freeze()
