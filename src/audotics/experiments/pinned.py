"""The versions that running experiments need, which nobody may remove."""

from __future__ import annotations

from pathlib import Path

from audotics.errors import BadInputError


def pinned_versions(database_url: str) -> dict[str, str]:
    """Versions that running experiments name, each with the experiment.

    A database that nobody made yet is not made for the question.

    Args:
        database_url: Of the journal.

    Raises:
        BadInputError: The URL cannot be used.
        UnavailableError: The database does not answer, so nobody knows.
    """
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ModuleNotFoundError:
        return {}  # without the optional group there is no journal, so there are no experiments
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise BadInputError("is not a database URL", where="database_url") from None
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return {}
    from audotics.experiments.store import ExperimentStore
    from audotics.experiments.tables import prepare_experiments
    from audotics.journal.engine import open_engine

    engine = open_engine(database_url, timeout_s=10)
    try:
        prepare_experiments(engine)
        running = ExperimentStore(engine).snapshot().assignment().experiments
    finally:
        engine.dispose()
    return {arm.model: one.name for one in running for arm in one.arms if arm.model is not None}
