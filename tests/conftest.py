"""Stands here so that every test can import the shared checks: ``from contract.<name> import ...``."""

from hypothesis import settings

# On shared cores a deadline per example measures the neighbours; pytest-timeout ends what hangs.
settings.register_profile("audotics", deadline=None)
settings.load_profile("audotics")

# Real Redis and PostgreSQL, started for the tests that ask for them.
pytest_plugins = ["contract.services"]
