"""What the journal holds of an experiment, as the tables that an analysis reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
from sqlalchemy import Engine

from audotics.errors import BadInputError
from audotics.experiments.analysis import analyse, analysed_from
from audotics.experiments.definition import Experiment
from audotics.experiments.effects import PLANNED_LISTENERS
from audotics.experiments.experiment_report import ExperimentReport
from audotics.experiments.interleaving import Preference, credit, preference
from audotics.experiments.listener_days import PAST_DAYS
from audotics.experiments.per_listener import DAY
from audotics.journal.events import EventJournal
from audotics.journal.exposure_frames import COLUMNS as EXPOSURES
from audotics.journal.exposures import ExposureLog
from audotics.journal.outcomes import outcomes

EVENTS = ("user_id", "track_id", "timestamp", "event", "ms_played", "request_id")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class LoggedExperiment:
    """What was logged since a listener's past begins.

    Args:
        exposures: Columns of `audotics.journal.exposure_frames`, of any experiment.
        events: `EVENTS`.
    """

    exposures: pl.DataFrame
    events: pl.DataFrame

    @classmethod
    def read(cls, engine: Engine, since: datetime, *, teams: bool = False) -> LoggedExperiment:
        """Everything shown and done since a moment; with the ``teams`` of interleaved slates, if wanted.

        Raises:
            UnavailableError: The database does not answer.
        """
        since_us = (since - _EPOCH) // _US
        log = ExposureLog(engine)
        try:
            exposures = list(log.frames(since_us, teams=teams)) or [_no_exposures(teams)]
        finally:
            log.close()
        frames = (frame.select(EVENTS) for frame in EventJournal(engine).frames(since_us, linked=True))
        empty = pl.DataFrame(schema=dict.fromkeys(EVENTS, pl.String)).with_columns(
            pl.col("timestamp").cast(EXPOSURES["timestamp"]), pl.col("ms_played").cast(pl.Int64)
        )
        return cls(pl.concat(exposures), pl.concat([empty, *frames]))


def report_from_journal(
    engine: Engine,
    experiment: Experiment,
    now: datetime,
    *,
    tracks: pl.DataFrame | None = None,
    planned_listeners: int = PLANNED_LISTENERS,
) -> ExperimentReport:
    """`analyse` with what the journal holds.

    Args:
        engine: From `audotics.journal.open_engine`.
        experiment: What is analysed.
        now: Moment of the analysis, UTC.
        tracks: track_id and artist_id, for the diversity of artists.
        planned_listeners: See `analyse`.

    Raises:
        BadInputError: See `analyse`.
        UnavailableError: The database does not answer.
    """
    logged = LoggedExperiment.read(engine, analysed_from(experiment) - PAST_DAYS * DAY)
    shown = outcomes(logged.exposures, logged.events, timedelta(hours=experiment.window_hours))
    return analyse(experiment, shown, logged.events, now, tracks=tracks, planned_listeners=planned_listeners)


def preference_from_journal(engine: Engine, experiment: Experiment) -> Preference:
    """What listeners of an interleaving experiment preferred, by tracks played.

    Raises:
        BadInputError: It was never started, or too few listeners played a track that is one team's.
        UnavailableError: The database does not answer.
    """
    if experiment.started_at is None:
        raise BadInputError("was never started", where=experiment.name, remedy="Start the experiment first")
    logged = LoggedExperiment.read(engine, experiment.started_at, teams=True)
    own = logged.exposures.filter(
        pl.col("variant")
        .str.split(",")
        .list.eval(pl.element().str.starts_with(f"{experiment.name}:"))
        .list.any()
        & ~pl.col("user_id").is_in(list(experiment.overrides)).fill_null(value=False)
    )
    shown = outcomes(own, logged.events, timedelta(hours=experiment.window_hours))
    told = credit(shown, own.select("request_id", "teams"), experiment.control_arm.name)
    return preference(told["control"].to_numpy(), told["treatment"].to_numpy(), 1.0 - experiment.alpha)


def _no_exposures(teams: bool) -> pl.DataFrame:
    return pl.DataFrame(schema=EXPOSURES | ({"teams": pl.List(pl.String)} if teams else {}))
