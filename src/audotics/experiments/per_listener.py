"""Listeners of an experiment and their sums day by day, as arrays that every analysis reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from audotics.domain import BoolArray, TimeArray
from audotics.errors import BadInputError
from audotics.experiments.definition import MetricName
from audotics.experiments.sequential import Array

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The days that are analysed: whole ones, from the start on.

    Args:
        start: Where day 0 begins, UTC.
        end: Where the last day ends; inside day 0 while that is not over.
    """

    start: datetime
    end: datetime

    @classmethod
    def until(cls, start: datetime, now: datetime) -> Period:
        """The whole days from the start to now, or the first one as far as it has come.

        Raises:
            BadInputError: Now is not after the start.
        """
        if now <= start:
            raise BadInputError("the experiment has not begun", where=f"analysis at {now:%Y-%m-%d %H:%M} UTC")
        return cls(start, start + (now - start) // DAY * DAY if now - start >= DAY else now)

    @property
    def n_days(self) -> int:
        """Days, the unfinished first one included."""
        return max(1, (self.end - self.start) // DAY)


@dataclass(frozen=True, slots=True)
class DaySums:
    """One metric's sums, a row for each listener and day that has any.

    Args:
        listener: ``[n_rows]`` number of the listener.
        day: ``[n_rows]``.
        numerator: ``[n_rows]``.
        denominator: ``[n_rows]``; None counts the days since the listener's first exposure.
    """

    listener: TimeArray
    day: TimeArray
    numerator: Array
    denominator: Array | None


@dataclass(frozen=True, slots=True)
class ListenerDays:
    """Listeners of an experiment and what they did.

    Args:
        user_ids: ``[n_listeners]``.
        arm: ``[n_listeners]`` place in ``arms``.
        first_day: ``[n_listeners]`` day of the first exposure.
        arms: Names, as given.
        period: The days.
        metrics: Sums since the start.
        past: Metric -> numerators and denominators ``[n_listeners]`` of the `PASTDAYS` before the start.
        answers: Answers in which something was started, per answer shown: for checks of the log.
        n_crossed: Listeners left out because they were seen in several arms.
    """

    user_ids: pl.Series
    arm: TimeArray
    first_day: TimeArray
    arms: tuple[str, ...]
    period: Period
    metrics: Mapping[MetricName, DaySums]
    past: Mapping[MetricName, tuple[Array, Array]]
    answers: DaySums
    n_crossed: int

    def present(self, last: int | None = None) -> BoolArray:
        """Who had been shown something by the end of a day (None: the last one) ``[n_listeners]``."""
        return self.first_day <= (self.period.n_days - 1 if last is None else last)

    def sums(
        self, rows: DaySums, *, last: int | None = None, ages: tuple[int, int] | None = None
    ) -> tuple[Array, Array]:
        """Numerators and denominators of all listeners ``[n_listeners]`` each.

        Args:
            rows: One of ``metrics``.
            last: Last day that counts; None takes all.
            ages: First and end of the days since each listener's first exposure (0 is its day) that count.
        """
        last = self.period.n_days - 1 if last is None else last
        first_age, end_age = ages or (0, self.period.n_days)
        age = rows.day - self.first_day[rows.listener]
        counts = (rows.day <= last) & (age >= first_age) & (age < end_age)
        of, size = rows.listener[counts], len(self.arm)
        numerator = totals(of, rows.numerator[counts], size)
        if rows.denominator is None:
            days = np.clip(last - self.first_day + 1, first_age, max(end_age, first_age)) - first_age
            return numerator, days.astype(np.float64)
        return numerator, totals(of, rows.denominator[counts], size)


def totals(listener: TimeArray, values: Array, n_listeners: int) -> Array:
    """Sum of the rows' values for each listener ``[n_listeners]``."""
    return np.bincount(listener, weights=values, minlength=n_listeners).astype(np.float64)
