"""How sure the averages are: intervals over listeners, paired tests, several baselines at once.

Listeners are what is sampled: each has one value per metric, and a resample draws as many
listeners with replacement. Sources: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993;
Sakai, "Evaluating evaluation metrics based on the bootstrap", SIGIR 2006; Holm, "A simple sequentially
rejective multiple test procedure", Scandinavian Journal of Statistics 1979; Urbano, Lima & Hanjalic,
"Statistical significance testing in information retrieval", SIGIR 2019 (why the t-test is the cross-check).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy import special

from audotics.evaluation.metrics import MetricArray

N_RESAMPLES = 1000
LEVEL = 0.95
_CELLS_PER_BLOCK = 4_000_000


class Interval(BaseModel):
    """A mean over listeners with its bootstrapped interval (percentile method, 95 % unless said otherwise).

    Args:
        mean: Mean over the listeners that have a value.
        low: Lower end.
        high: Upper end.
        n: How many listeners have a value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    low: float
    high: float
    n: int


class PairedDifference(BaseModel):
    """How much one system is better than another on the same listeners.

    Args:
        difference: Mean of the differences, positive when the first system is better.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p_value: Two-sided bootstrap p-value under "no difference".
        t_test_p_value: Two-sided p-value of the paired t-test, as a cross-check.
        n: How many listeners have a value from both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    difference: float
    low: float
    high: float
    p_value: float
    t_test_p_value: float
    n: int


def resampled_means(values: MetricArray, n_resamples: int = N_RESAMPLES, seed: int = 0) -> MetricArray:
    """Means of bootstrap resamples; every column is resampled with the same listeners.

    Args:
        values: ``[n_listeners, n_metrics]``; NaN where a listener has no value.
        n_resamples: How many resamples.
        seed: The same seed draws the same listeners.

    Returns:
        ``[n_resamples, n_metrics]``; NaN where a resample drew no listener with a value.
    """
    n = len(values)
    rng = np.random.default_rng(seed)
    valid = ~np.isnan(values)
    filled = np.where(valid, values, 0.0)
    complete = bool(valid.all())
    means = np.empty((n_resamples, values.shape[1]))
    block = max(1, _CELLS_PER_BLOCK // max(n, 1))
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        counts = _draw_counts(rng, size, n)
        drawn = np.float64(n) if complete else counts @ valid.astype(np.float64)
        with np.errstate(invalid="ignore"):
            means[start : start + size] = (counts @ filled) / drawn
    return means


def _draw_counts(rng: np.random.Generator, size: int, n: int) -> npt.NDArray[np.float64]:
    """How often each of ``n`` listeners is in each of ``size`` resamples ``[size, n]``."""
    draws = rng.integers(0, n, size=(size, n), dtype=np.int32)
    draws += np.arange(0, size * n, n, dtype=np.int32)[:, None]
    return np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def bootstrap_intervals(
    metrics: dict[str, MetricArray], *, n_resamples: int = N_RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, Interval]:
    """Interval of the mean of every metric; metrics without any value are left out.

    Args:
        metrics: Name -> ``[n_listeners]``, NaN where a listener has no value.
        n_resamples: How many resamples.
        seed: Seed of the resampling.
        level: Share of resamples inside the interval.
    """
    usable = {name: values for name, values in metrics.items() if not np.isnan(values).all()}
    if not usable:
        return {}
    table = np.column_stack(list(usable.values()))
    tail = (1.0 - level) / 2.0
    ends = np.nanquantile(resampled_means(table, n_resamples, seed), [tail, 1.0 - tail], axis=0)
    means, counts = np.nanmean(table, axis=0), np.count_nonzero(~np.isnan(table), axis=0)
    return {
        name: Interval(mean=float(mean), low=float(low), high=float(high), n=int(n))
        for name, mean, low, high, n in zip(usable, means, *ends, counts, strict=True)
    }


def paired_difference(
    first: MetricArray, second: MetricArray, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> PairedDifference:
    """Compare two systems listener by listener.

    The p-value is the share of resamples whose mean, shifted to the null of no difference, lies at
    least as far out as the observed one: ``(1 + #{|d* - d| >= |d|}) / (n_resamples + 1)`` (Sakai 2006).

    Args:
        first: ``[n_listeners]`` of the first system, NaN where there is no value.
        second: ``[n_listeners]`` of the second, of the same listeners in the same order.
        n_resamples: How many resamples.
        seed: Seed of the resampling.
    """
    difference = first - second
    difference = difference[~np.isnan(difference)]
    if len(difference) == 0:
        raise ValueError("no listener has a value from both systems")
    observed = float(difference.mean())
    means = resampled_means(difference[:, None], n_resamples, seed)[:, 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # Means of equal values differ in the last bit from resample to resample.
    slack = 1e-12 * (1.0 + abs(observed))
    as_far = np.count_nonzero(np.abs(means - observed) >= abs(observed) - slack)
    return PairedDifference(
        difference=observed,
        low=float(low),
        high=float(high),
        p_value=float((1 + as_far) / (n_resamples + 1)),
        t_test_p_value=_t_test(difference),
        n=len(difference),
    )


def _t_test(difference: MetricArray) -> float:
    """Two-sided p-value of the paired t-test; 1 where one listener or no difference says nothing."""
    n = len(difference)
    if n < 2 or not difference.any():
        return 1.0
    error = difference.std(ddof=1) / np.sqrt(n)
    if error == 0:
        return 0.0
    return float(2 * special.stdtr(n - 1, -abs(difference.mean()) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for having asked several questions (Holm 1979), in the given order.

    The ``i``-th smallest of ``m`` (from 1) becomes the largest ``(m - j + 1) p_j`` over ``j <= i``,
    at most 1.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]
