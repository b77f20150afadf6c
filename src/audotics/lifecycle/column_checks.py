"""Columns of the catalogue and the listeners: lost, emptied, frozen, shifted or of another distribution."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.schema import FEATURE_PREFIX
from audotics.lifecycle.findings import Finding, Severity
from audotics.lifecycle.limits import DataLimits

LEAST_ROWS = 30
"""Fewer rows say nothing of a column."""

_EMBEDDING = "embedding"
_PLAIN = {"tracks": ("duration_ms",), "users": ("birth_year",)}
_KEYS = {"tracks": "track_id", "users": "user_id"}
_BINS = 10
_LEAST_SHARE = 1e-4
"""Empty bins count as this share, so that the index stays finite."""

Values = npt.NDArray[np.float64]


def check_columns(table: str, new: pl.DataFrame, base: pl.DataFrame, limits: DataLimits) -> list[Finding]:
    """Every numeric column of a table, as a whole and in the rows that the base does not have.

    Args:
        table: ``tracks`` or ``users``.
        new: The table of the new data.
        base: The table of the base.
        limits: What may be.

    Returns:
        At most one finding for each column.
    """
    if new.height < LEAST_ROWS or base.height < LEAST_ROWS:
        return []
    fresh = new.join(base.select(_KEYS[table]), on=_KEYS[table], how="anti")
    findings = []
    for column in _numeric_columns(table, base):
        usual = _values(base, column)
        if np.isnan(usual).all():
            continue
        found = (
            _missing(table, column, new)
            or _compared(f"{table}.{column}", _values(new, column), usual, limits)
            or _of_fresh_rows(f"{table}.{column}", _values(fresh, column), usual, limits)
        )
        if found:
            findings.append(found)
    return findings


def stability_index(values: Values, usual: Values) -> float:
    """Population stability index ``sum (p - q) ln(p / q)`` over the usual values' tenths, NaN left out.

    0.1 is little, 0.25 a change to look at (Siddiqi, "Credit Risk Scorecards", 2006). Values of which more
    than a tenth are equal make fewer bins.
    """
    values, usual = values[~np.isnan(values)], usual[~np.isnan(usual)]
    if not len(values) or not len(usual):
        return 0.0
    edges = np.unique(np.quantile(usual, np.linspace(0, 1, _BINS + 1)[1:-1]))
    p, q = (_bin_shares(each, edges) for each in (values, usual))
    return float(np.sum((p - q) * np.log(p / q)))


def _bin_shares(values: Values, edges: Values) -> Values:
    # Beside the bins between edges each edge has one of its own: values that repeat often are edges.
    left, right = np.searchsorted(edges, values, "left"), np.searchsorted(edges, values, "right")
    counts = np.bincount(left + right, minlength=2 * len(edges) + 1)
    shares: Values = np.maximum(counts / len(values), _LEAST_SHARE)
    return shares


def _numeric_columns(table: str, base: pl.DataFrame) -> Iterator[str]:
    yield from (name for name in _PLAIN[table] if name in base.columns)
    yield from (name for name in base.columns if name.startswith(FEATURE_PREFIX))
    if _EMBEDDING in base.columns:
        yield _EMBEDDING


def _values(rows: pl.DataFrame, column: str) -> Values:
    """``[n_rows]`` as floats, NaN where null or not finite; of embeddings the length of the vector."""
    if column not in rows.columns:
        return np.full(rows.height, np.nan)
    series = rows[column]
    if isinstance(series.dtype, pl.List):
        norm = pl.col(column).list.eval(pl.element().cast(pl.Float64).pow(2)).list.sum().sqrt()
        series = rows.select(pl.when(pl.col(column).is_not_null()).then(norm)).to_series()
    values = series.cast(pl.Float64).to_numpy().astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _missing(table: str, column: str, new: pl.DataFrame) -> Finding | None:
    if column in new.columns:
        return None
    return Finding(
        "column_missing", Severity.REFUSE, f"column {table}.{column} is not there any more", 1.0, 0.0
    )


def _compared(name: str, values: Values, usual: Values, limits: DataLimits) -> Finding | None:
    nulls = np.isnan(values).mean() - np.isnan(usual).mean()
    if nulls > limits.null_refuse:
        return _nulls(name, float(nulls), limits.null_refuse, Severity.REFUSE)
    found = _frozen(name, values, usual) or _resized(name, values, usual, limits.magnitude_factor)
    if found:
        return found
    psi = stability_index(values, usual)
    for severity, limit in ((Severity.REFUSE, limits.psi_refuse), (Severity.WARN, limits.psi_warn)):
        if psi > limit:
            what = f"column {name} has another distribution (population stability index {psi:.2f})"
            return Finding("column_distribution", severity, what, psi, limit)
    if nulls > limits.null_warn:
        return _nulls(name, float(nulls), limits.null_warn, Severity.WARN)
    return None


def _of_fresh_rows(name: str, values: Values, usual: Values, limits: DataLimits) -> Finding | None:
    """New tracks and listeners may differ; they may not all be alike, or of another order of magnitude."""
    if len(values) < LEAST_ROWS:
        return None
    known = values[~np.isnan(values)]
    where = f"{name} of new rows"
    if len(known) >= LEAST_ROWS:
        found = _frozen(where, values, usual) or _resized(where, values, usual, limits.magnitude_factor)
        if found:
            return found
    nulls = np.isnan(values).mean() - np.isnan(usual).mean()
    if nulls > limits.null_refuse:
        return _nulls(where, float(nulls), limits.null_refuse, Severity.WARN)
    return None


def _nulls(name: str, growth: float, limit: float, severity: Severity) -> Finding:
    what = f"column {name} is empty or not a number in {growth:.0%} more of the rows than usual"
    return Finding("column_nulls", severity, what, growth, limit)


def _frozen(name: str, values: Values, usual: Values) -> Finding | None:
    known = values[~np.isnan(values)]
    if not len(known) or known.min() < known.max() or np.nanmin(usual) == np.nanmax(usual):
        return None
    what = f"column {name} is {known[0]:g} in every row, usually it varies"
    return Finding("column_constant", Severity.REFUSE, what, 0.0, float(np.nanstd(usual)))


def _resized(name: str, values: Values, usual: Values, factor: float) -> Finding | None:
    new, old = (_size(each) for each in (values, usual))
    if not old or not np.isfinite(new) or old / factor <= new <= old * factor:
        return None
    what = f"column {name} has values around {new:.3g}, usually around {old:.3g}"
    return Finding("column_magnitude", Severity.REFUSE, what, new / old, factor if new > old else 1 / factor)


def _size(values: Values) -> float:
    """Typical absolute value: the median, or the mean where most are 0."""
    absolute = np.abs(values[~np.isnan(values)])
    if not len(absolute):
        return np.nan
    return float(np.median(absolute) or absolute.mean())
