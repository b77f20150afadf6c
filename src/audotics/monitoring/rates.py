"""Rates of what listeners did, with intervals for which listeners are what is drawn.

A rate is a ratio of two sums over listeners (completions over listens, plays over places shown), so its
variance is that of the linearised ratio (the delta method; Deng, Knoblich & Lu, "Applying the delta method
in metric analytics", KDD 2018). Taking each place of a slate as independent would make intervals too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from scipy import stats

from audotics.monitoring.report import Rate

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Metric:
    """One rate.

    Args:
        name: What it is called.
        happened: Column that says of a track shown whether it counts.
        among: Column that says whether it is asked about.
        better: 1 where more is better, -1 where less is.
    """

    name: str
    happened: str
    among: str
    better: int


METRICS = (
    Metric("play", "played", "shown", 1),
    Metric("completion", "completed", "listened", 1),
    Metric("like", "liked", "listened", 1),
    Metric("skip", "skipped", "listened", -1),
)
"""Plays of what was shown; completions, likes and skips of what was played or skipped."""


def per_listener(outcomes: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Sums of each listener in each group, which is all that rates need.

    Args:
        outcomes: Columns of `audotics.journal.outcomes.OUTCOMES`.
        by: Columns that make the groups.

    Returns:
        Columns ``by``, ``listener`` (answers for nobody in particular stand for themselves), and the sums
        shown, listened, played, completed, liked and skipped.
    """
    marked = outcomes.with_columns(
        listener=pl.coalesce("user_id", "request_id"),
        shown=pl.lit(1, pl.Int64),
        listened=pl.col("played") | pl.col("skipped"),
    )
    # A like without a play or a skip is none of a listen that we know.
    told = pl.col("listened")
    return marked.group_by(*by, "listener").agg(
        pl.col("shown").sum(),
        pl.col("listened", "played").sum().cast(pl.Int64),
        *((pl.col(name) & told).sum().cast(pl.Int64) for name in ("completed", "liked", "skipped")),
    )


def estimates(sums: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Every metric of every group.

    Args:
        sums: From `per_listener`.
        by: Columns that make the groups; none makes one.

    Returns:
        Columns ``by``, ``n_listeners``, and for each metric ``{name}`` (rate, null where nobody was asked),
        ``{name}_variance`` (null below two listeners) and ``{name}_n``.
    """
    columns: list[pl.Expr] = [pl.len().alias("n_listeners")]
    for metric in METRICS:
        y, x = pl.col(metric.happened).sum(), pl.col(metric.among).sum()
        rate = pl.when(x > 0).then(y / x)
        residual = pl.col(metric.happened) - rate * pl.col(metric.among)
        n = (pl.col(metric.among) > 0).sum()
        spread = (residual**2).sum() * n / (n - 1) / x**2
        columns += [
            rate.alias(metric.name),
            pl.when(n > 1).then(spread).alias(f"{metric.name}_variance"),
            x.alias(f"{metric.name}_n"),
        ]
    return sums.group_by(by).agg(columns).sort(by) if by else sums.select(columns)


def rates(row: dict[str, float | int | None]) -> dict[str, Rate]:
    """The rates of one row of `estimates`, by metric."""
    return {metric.name: _rate(metric, row) for metric in METRICS}


def _rate(metric: Metric, row: dict[str, float | int | None]) -> Rate:
    value, variance = row[metric.name], row[f"{metric.name}_variance"]
    low = high = None
    n_listeners = int(row["n_listeners"] or 0)
    if value is not None and variance is not None:
        reach = float(stats.t.ppf((1 + LEVEL) / 2, max(1, n_listeners - 1))) * variance**0.5
        low, high = max(0.0, value - reach), min(1.0, value + reach)
    return Rate(value=value, low=low, high=high, n=int(row[f"{metric.name}_n"] or 0), n_listeners=n_listeners)
