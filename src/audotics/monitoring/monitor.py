"""Looking after a service: drift and online quality of a version, read from the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import Engine

from audotics.data.schema import EVENTS
from audotics.journal.events import EventJournal
from audotics.journal.exposure_frames import COLUMNS as EXPOSURES
from audotics.journal.exposures import ExposureLog
from audotics.journal.outcomes import outcomes
from audotics.monitoring.drift import drift_report
from audotics.monitoring.predictions import collect_predictions
from audotics.monitoring.quality import quality_report
from audotics.monitoring.reference import Reference
from audotics.monitoring.report import MonitorReport, PredictionQuality, Summary
from audotics.registry import Registry
from audotics.registry.names import CHAMPION

SINCE = timedelta(days=7)
"""How far back listening is looked at."""

WINDOW = timedelta(hours=6)
"""How long a track shown may be answered for; answers younger than that do not count yet."""

BEFORE = timedelta(days=16)
"""How much of quality is read at least: the newest whole day and two weeks before it."""


def monitor(
    registry: Registry,
    engine: Engine,
    *,
    version: str = CHAMPION,
    since: timedelta = SINCE,
    window: timedelta = WINDOW,
    now: datetime | None = None,
    most_rows: int | None = None,
) -> MonitorReport:
    """Look at the journal of a service.

    Args:
        registry: Of the versions.
        engine: Of the journal, from `audotics.journal.open_engine`.
        version: An id, an alias or ``latest``: whose reference counts.
        since: How far back drift and rates look.
        window: How long a track shown may be answered for.
        now: Of the look; None is now.
        most_rows: Only the newest so many events and answers together; None takes all.

    Raises:
        BadInputError: There is no such version.
        DamagedError: The version cannot be read.
        UnavailableError: The journal does not answer.
    """
    now = now or datetime.now(UTC)
    reference = Reference.of_version(registry, version)
    events, exposures = _read(engine, now - max(since, BEFORE), now, most_rows)
    recent = now - since
    later = pl.col("timestamp") >= recent
    shown = outcomes(exposures, events, window)
    collector = collect_predictions(shown.filter(pl.col("at").is_between(recent, now - window)))
    return MonitorReport(
        at=now,
        version=reference.version,
        drift=drift_report(reference, events.filter(later), exposures.filter(later)),
        quality=quality_report(shown, recent, now - window),
        predictions=tuple(
            PredictionQuality(version=name, variant=variant, metrics=collector.metrics(name, variant))
            for name, variant in collector.groups
        ),
    )


def drift_summary(
    registry: Registry,
    engine: Engine,
    *,
    version: str = CHAMPION,
    since: timedelta = SINCE,
    now: datetime | None = None,
) -> Summary:
    """Whether a version should be retrained: drift and quality in one verdict.

    Args:
        registry: Of the versions.
        engine: Of the journal.
        version: An id, an alias or ``latest``.
        since: How far back to look.
        now: Of the look; None is now.

    Raises:
        BadInputError: There is no such version.
        DamagedError: The version cannot be read.
        UnavailableError: The journal does not answer.
    """
    report = monitor(registry, engine, version=version, since=since, now=now)
    return Summary(verdict=report.verdict, reasons=report.reasons)


def _read(
    engine: Engine, since: datetime, until: datetime, most_rows: int | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and exposures between two moments."""
    since_us = int(since.timestamp() * 1_000_000)
    journal, log = EventJournal(engine), ExposureLog(engine)
    try:
        after = 0 if most_rows is None else max(0, journal.last_seq() - most_rows)
        # Events and exposures are numbered together.
        events = list(journal.frames(since_us, linked=True, after=after))
        exposures = list(log.frames(since_us, after=after))
    finally:
        log.close()
    schema: dict[str, Any] = {**EVENTS, "event_id": pl.String, "request_id": pl.String}
    earlier = pl.col("timestamp") <= until
    return (
        pl.concat([pl.DataFrame(schema=schema), *events], how="diagonal").filter(earlier),
        pl.concat([pl.DataFrame(schema=EXPOSURES), *exposures]).filter(earlier),
    )
