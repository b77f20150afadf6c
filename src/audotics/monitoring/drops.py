"""Whether quality dropped: the newest day against the two weeks before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl
from scipy import stats

from audotics.monitoring.rates import METRICS, Metric
from audotics.monitoring.report import Drop
from audotics.monitoring.verdicts import Verdict

FALSE_ALARMS = 0.01
"""Chance a day, at most, that any of the metrics is found changed without any change; as only losses count,
there are two false alarms a year at most."""

LOSS_ALARM = 0.1
"""A relative loss that is an alarm; a smaller one that chance does not explain is a shift."""

REFERENCE_DAYS = 14
FEWEST_DAYS = 4
FEWEST_LISTENERS = 30


def drops(days: pl.DataFrame) -> tuple[Drop, ...]:
    """Test every metric of the newest day.

    A day differs from others by more than its listeners' chance: weather, releases, weekends. Its variance
    is therefore that between the days before, beyond what their listeners explain, plus its own, and the
    test is Student's with as many degrees of freedom as there are days before, less one. It is careful
    where days hardly differ; with few days before, it finds only a collapse.

    Args:
        days: From `audotics.monitoring.rates.estimates` by ``day``; whole days only.

    Returns:
        One for each metric; none while there are too few days or listeners.
    """
    told = days.filter(pl.col("n_listeners") >= FEWEST_LISTENERS).sort("day").tail(REFERENCE_DAYS + 1)
    if told.height < FEWEST_DAYS + 1 or told["day"][-1] != days["day"].max():
        return ()
    return tuple(_tested(told))


def _tested(days: pl.DataFrame) -> Iterator[Drop]:
    for metric in METRICS:
        values = days[metric.name].cast(pl.Float64).to_numpy()
        variances = days[f"{metric.name}_variance"].cast(pl.Float64).to_numpy()
        if np.isnan(values).any() or np.isnan(variances).any():
            continue
        yield _test(metric, days["day"][-1], values, variances)


def _test(metric: Metric, day: date, values: np.ndarray, variances: np.ndarray) -> Drop:
    before, now = values[:-1], float(values[-1])
    then, n = float(before.mean()), len(before)
    between = max(0.0, float(before.var(ddof=1)) - float(variances[:-1].mean()))
    variance = between * (1 + 1 / n) + float(variances[-1]) + float(variances[:-1].mean()) / n
    p_value = 1.0
    if variance > 0:
        p_value = 2 * float(stats.t.sf(abs(now - then) / variance**0.5, n - 1))
    verdict = Verdict.STEADY
    if p_value < FALSE_ALARMS / len(METRICS) and (now - then) * metric.better < 0:
        verdict = Verdict.ALARM if abs(now - then) >= LOSS_ALARM * then else Verdict.SHIFTED
    return Drop(metric=metric.name, verdict=verdict, day=day, then=then, now=now, p_value=p_value, n_days=n)
