"""Stands here so that every test can import the shared checks: ``from contract.<name> import ...``."""
