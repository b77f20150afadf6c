"""Planning from history: its last days, taken as if they had been an experiment without effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.errors import BadInputError
from audotics.experiments import cuped
from audotics.experiments.definition import MetricName
from audotics.experiments.listener_days import listener_days
from audotics.experiments.per_listener import DAY, Period
from audotics.experiments.power import (
    Design,
    detectable_always_valid,
    detectable_effect,
    listeners_needed,
)
from audotics.experiments.ratios import linearised

DURATIONS = (3, 7, 14, 21, 28)
_ARM = "all"


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What an experiment of some days could find.

    Args:
        n_days: Its length.
        n_listeners: Who would take part, by the same days of history.
        mean: Of the metric.
        explained: Share of the variance that CUPED would take out.
        detectable: Smallest relative change found with the wanted power at the end, without CUPED.
        detectable_cuped: The same with CUPED.
        detectable_any_day: The same with CUPED by the always-valid interval at the end.
        needed: Listeners of both arms to find the wanted change with CUPED; None if none is asked for.
    """

    n_days: int
    n_listeners: int
    mean: float
    explained: float
    detectable: float
    detectable_cuped: float
    detectable_any_day: float
    needed: int | None

    @property
    def enough(self) -> bool:
        """Whether as many listeners would take part as are needed."""
        return self.needed is not None and self.n_listeners >= self.needed


def plan(
    events: pl.DataFrame,
    metric: MetricName,
    *,
    share: float = 1.0,
    effect: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    n_treatments: int = 1,
    durations: Sequence[int] = DURATIONS,
    tracks: pl.DataFrame | None = None,
) -> list[PlannedRun]:
    """What experiments of several lengths could find in one metric, two equal arms at a time.

    Args:
        events: History: user_id, track_id, timestamp, event, ms_played.
        metric: Which metric.
        share: Share of all listeners who take part in one comparison, in both arms together.
        effect: Relative change that is wanted to be found, such as 0.02.
        alpha: False alarms that are put up with, shared by the treatments.
        power: Chance to find the change if it is there.
        n_treatments: Arms beside the control.
        durations: Days.
        tracks: track_id and artist_id, for the diversity of artists.

    Raises:
        BadInputError: History is shorter than the shortest experiment, or the metric never varies in it.
        MissingExtraError: statsmodels is not installed.
    """
    told = events.drop_nulls("timestamp")
    first, last = _ends(told)
    if last - first < min(durations) * DAY:
        raise BadInputError(
            f"history is shorter than {min(durations)} days", where="plan", remedy="Plan from a longer log"
        )
    runs = []
    for n_days in durations:
        if n_days * DAY > last - first:
            break
        values, explained = _values(told, metric, Period(last - n_days * DAY, last), tracks)
        deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        if not deviation > 0 or not values.mean() > 0:
            raise BadInputError(f"{metric.value} does not vary in history", where="plan")
        plain = Design(float(values.mean()), deviation, 0.0, 1.0, alpha, power, n_treatments)
        helped = Design(float(values.mean()), deviation, explained, 1.0, alpha, power, n_treatments)
        n_arm = share * len(values) / 2.0
        runs.append(
            PlannedRun(
                n_days=n_days,
                n_listeners=round(share * len(values)),
                mean=float(values.mean()),
                explained=explained,
                detectable=detectable_effect(plain, n_arm),
                detectable_cuped=detectable_effect(helped, n_arm),
                detectable_any_day=detectable_always_valid(helped, n_arm),
                needed=None if effect is None else 2 * listeners_needed(helped, effect),
            )
        )
    return runs


def _ends(events: pl.DataFrame) -> tuple[datetime, datetime]:
    first, last = events["timestamp"].min(), events["timestamp"].max()
    if not (isinstance(first, datetime) and isinstance(last, datetime)):
        raise BadInputError("there is no history", where="plan", remedy="Plan from a log with times")
    return first, last


def _values(
    events: pl.DataFrame, metric: MetricName, period: Period, tracks: pl.DataFrame | None
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Linearised values of the listeners of a period, and the share of variance that their past explains."""
    days = listener_days(_as_shown(events), events, arms=(_ARM,), period=period, tracks=tracks)
    values = linearised(*days.sums(days.metrics[metric]))
    return values, min(cuped.adjust([values], [cuped.covariates(*days.past[metric])]).explained, 0.999)


def _as_shown(events: pl.DataFrame) -> pl.DataFrame:
    """Every event as if an answer had shown its track."""
    event = pl.col("event")
    return events.select(
        "user_id",
        "track_id",
        at="timestamp",
        request_id=pl.int_range(pl.len()).cast(pl.String),
        arm=pl.lit(_ARM),
        played=event.is_in(POSITIVE_EVENTS),
        completed=event == "complete",
        skipped=event == "skip",
        liked=event.is_in(("like", "add_to_playlist")),
    )
