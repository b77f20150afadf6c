"""A quantity over events as shares of cells, with how sure the shares are when listeners are what is drawn.

Events of one listener resemble each other, so ten thousand events of forty listeners say less about a
country than forty would think. Beside the shares a `Distribution` therefore keeps their covariance as
ratio estimates over listeners (Cochran, "Sampling Techniques", 1977, chapter 6): what a test needs to
know how much two such sets of shares differ by chance alone (Rao & Scott, "The analysis of categorical
data from complex sample surveys", JASA 1981).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict
from scipy import sparse

N_BINS = 10
N_QUANTILES = 201
RARE = 0.005
"""Values of a smaller share are counted together: cells of a handful of events tell nothing."""

MOST_CELLS = 40
OTHER, MISSING = "(other)", "(missing)"

Vector = npt.NDArray[np.float64]
Listeners = npt.NDArray[np.integer[Any]]


class Distribution(BaseModel):
    """Shares of a quantity's cells among events.

    Args:
        kind: Cells are bins of a number, or values.
        edges: Inner edges of the bins, ascending: a value equal to an edge lies above it. Empty for values.
        labels: The values; the bins in words. `OTHER` (values only) and `MISSING` stand last.
        counts: ``[n_cells]`` events.
        covariance: ``[n_cells, n_cells]`` of the shares, listeners being what is drawn.
        quantiles: 201 quantiles of a number, 0 % to 100 %; empty for values, or where none is known.
        n_listeners: How many listeners the events are of.
        n_effective: So many listeners with equally many events would tell as much (Kish, "Survey Sampling",
            1965: the squared sum of their events over the sum of squares).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["number", "value"]
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    covariance: tuple[tuple[float, ...], ...]
    quantiles: tuple[float, ...] = ()
    n_listeners: int
    n_effective: float

    @property
    def n(self) -> int:
        """How many events."""
        return sum(self.counts)

    @property
    def shares(self) -> Vector:
        """``[n_cells]``, summing to 1; all 0 without events."""
        return np.asarray(self.counts, np.float64) / max(1, self.n)

    @property
    def design_effect(self) -> float:
        """How many events say as much as one independent draw, averaged over the cells; 1 at least."""
        shares = self.shares
        seen = shares > 0
        if seen.sum() < 2:
            return 1.0
        variance = np.diag(np.asarray(self.covariance))[seen]
        return max(1.0, float((variance * self.n / shares[seen]).sum() / (seen.sum() - 1)))

    @property
    def design_effect_below(self) -> float:
        """The same for the share below an edge, at the edge where it is worst; 1 at least.

        Listeners whose values lie close together move neighbouring bins at once.
        """
        below = np.cumsum(self.shares)[:-1]
        inside = (below > 0.01) & (below < 0.99)
        if not inside.any():
            return 1.0
        variance = np.diag(np.cumsum(np.cumsum(self.covariance, axis=0), axis=1))[:-1][inside]
        return max(1.0, float((variance * self.n / (below * (1 - below))[inside]).max()))

    @classmethod
    def of_numbers(cls, values: pl.Series, listeners: Listeners, n_bins: int = N_BINS) -> Self:
        """Bins with equal shares of these values, as far as ties allow, and one for missing ones.

        Args:
            values: ``[n]`` numbers; null and NaN are missing.
            listeners: ``[n]`` a number for each listener, small and not negative.
            n_bins: How many bins at most.
        """
        numbers = _numbers(values)
        known = numbers[~np.isnan(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1])) if len(known) else known
        # Nothing lies below an edge that is the least value.
        edges = edges[edges > known.min()] if len(known) else edges
        return cls._counted("number", _bins(edges), edges, values, listeners)

    @classmethod
    def of_values(cls, values: pl.Series, listeners: Listeners, always: Iterable[str] = ()) -> Self:
        """A cell for each value that is not rare, one for all others and one for missing ones.

        Args:
            values: ``[n]`` of any type; counted by its text.
            listeners: ``[n]`` a number for each listener, small and not negative.
            always: Values that have a cell of their own, however rare.
        """
        texts = values.cast(pl.String)
        found = texts.drop_nulls().value_counts(sort=True)
        common = found.filter(pl.col("count") >= RARE * max(1, len(values))).head(MOST_CELLS)
        labels = (*sorted({*common.to_series(0), *always}), OTHER, MISSING)
        return cls._counted("value", labels, np.zeros(0), values, listeners)

    def like(self, values: pl.Series, listeners: Listeners) -> Self:
        """Other values in the same cells.

        Args:
            values: ``[n]``.
            listeners: ``[n]`` a number for each listener, small and not negative.
        """
        return self._counted(self.kind, self.labels, np.asarray(self.edges), values, listeners)

    @classmethod
    def _counted(
        cls,
        kind: Literal["number", "value"],
        labels: tuple[str, ...],
        edges: Vector,
        values: pl.Series,
        listeners: Listeners,
    ) -> Self:
        quantiles: Vector = np.zeros(0)
        if kind == "number":
            numbers = _numbers(values)
            missing = np.isnan(numbers)
            cells = np.where(missing, len(labels) - 1, np.searchsorted(edges, numbers, side="right"))
            if not missing.all():
                quantiles = np.quantile(numbers[~missing], np.linspace(0, 1, N_QUANTILES))
        else:
            texts = values.cast(pl.String).fill_null(MISSING)
            places = pl.DataFrame({"label": labels, "cell": np.arange(len(labels))})
            found = texts.to_frame("label").join(places, on="label", how="left", maintain_order="left")
            cells = found["cell"].fill_null(len(labels) - 2).to_numpy()
        counts, covariance, totals = _clustered(cells, listeners, len(labels))
        return cls(
            kind=kind,
            edges=tuple(edges.tolist()),
            labels=labels,
            counts=tuple(counts.tolist()),
            covariance=tuple(map(tuple, covariance.tolist())),
            quantiles=tuple(quantiles.tolist()),
            n_listeners=len(totals),
            n_effective=float(totals.sum() ** 2 / max(1.0, totals @ totals)),
        )


def _clustered(
    cells: npt.NDArray[np.int64], listeners: Listeners, n_cells: int
) -> tuple[npt.NDArray[np.int64], Vector, Vector]:
    """Counts of the cells, the covariance of their shares, and how many events each listener has."""
    n = len(cells)
    if not n:
        return np.zeros(n_cells, np.int64), np.zeros((n_cells, n_cells)), np.zeros(0)
    _, rows = np.unique(listeners, return_inverse=True)
    n_listeners = int(rows.max()) + 1
    table = sparse.csr_matrix(
        (np.ones(n), (rows.ravel(), cells)), shape=(n_listeners, n_cells), dtype=np.float64
    )
    totals = np.asarray(table.sum(axis=1)).ravel()
    counts = np.asarray(table.sum(axis=0)).ravel()
    shares = counts / n
    # Sum over listeners of (counts - total * shares) (counts - total * shares)', multiplied out.
    crossed = np.outer(shares, np.asarray(table.T @ totals))
    spread = (table.T @ table).toarray() - crossed - crossed.T
    spread += (totals @ totals) * np.outer(shares, shares)
    factor = n_listeners / max(1, n_listeners - 1)
    return counts.astype(np.int64), factor * spread / n**2, totals


def _numbers(values: pl.Series) -> Vector:
    numbers: Vector = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _bins(edges: Vector) -> tuple[str, ...]:
    """Bins in words."""
    if not len(edges):
        return "any", MISSING
    shown = [f"{edge:.4g}" for edge in edges.tolist()]
    between = (f"{low} to {high}" for low, high in pairwise(shown))
    return (f"below {shown[0]}", *between, f"{shown[-1]} or more", MISSING)
