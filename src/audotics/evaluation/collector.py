"""MetricsCollector: quality of predictions as their outcomes come in, by version and variant."""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.errors import BadInputError
from audotics.evaluation.heads import (
    N_BINS,
    Probabilities,
    ProbabilityMetrics,
    bins_from_sums,
    check_probabilities,
    confusion_counts,
    log_loss_sum,
    metrics_from_sums,
)


class Group(NamedTuple):
    """Whose predictions are counted together: a version, and a variant or segment of listeners."""

    version: str
    variant: str = ""


OVERFLOW = Group("(others)")
"""Where predictions go once there are as many groups as a collector may hold."""


class _Counts:
    """Sums of one group; adding them up is all that merging needs."""

    __slots__ = ("confusion", "log_loss", "n", "observed", "predicted")

    def __init__(self) -> None:
        self.n = np.zeros(N_BINS, np.int64)
        self.predicted = np.zeros(N_BINS)
        self.observed = np.zeros(N_BINS)
        self.confusion = np.zeros(4, np.int64)  # 2 * outcome + prediction
        self.log_loss = 0.0

    def add(self, p: npt.NDArray[np.float64], y: npt.NDArray[np.bool_], threshold: float) -> None:
        place = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
        self.n += np.bincount(place, minlength=N_BINS)
        self.predicted += np.bincount(place, weights=p, minlength=N_BINS)
        self.observed += np.bincount(place, weights=y, minlength=N_BINS)
        self.confusion += confusion_counts(p, y, threshold)
        self.log_loss += log_loss_sum(p, y)

    def merge(self, other: _Counts) -> None:
        self.n += other.n
        self.predicted += other.predicted
        self.observed += other.observed
        self.confusion += other.confusion
        self.log_loss += other.log_loss

    def metrics(self) -> ProbabilityMetrics:
        bins = bins_from_sums(self.n, self.predicted, self.observed)
        return metrics_from_sums(self.confusion, self.log_loss, bins)


class MetricsCollector:
    """Collects predictions and outcomes in streaming counts and tells each group's quality.

    Memory does not grow with the number of predictions (some 300 bytes of sums a group), nor beyond
    ``max_groups`` groups: what comes for further ones is counted under `OVERFLOW`, never lost.
    Safe to use from several threads; collectors of several processes are joined with `merge`.

    Args:
        threshold: Probability from which a prediction counts as positive.
        max_groups: How many groups are told apart.
    """

    def __init__(self, *, threshold: float = 0.5, max_groups: int = 1000) -> None:
        self.threshold = threshold
        self.max_groups = max_groups
        self._counts: dict[Group, _Counts] = {}
        self._lock = Lock()

    def record(
        self, version: str, probability: Probabilities | float, outcome: npt.ArrayLike, *, variant: str = ""
    ) -> None:
        """Count one prediction or an array of them.

        Args:
            version: The model version that predicted.
            probability: ``[n]`` or one value, in [0, 1].
            outcome: The same shape: 1 it happened, 0 it did not, NaN not known (left out).
            variant: The experiment variant, or any segment of listeners.

        Raises:
            BadInputError: The shapes differ, or a probability lies outside [0, 1].
        """
        p = np.atleast_1d(np.asarray(probability, np.float64)).ravel()
        y = np.atleast_1d(np.asarray(outcome, np.float64)).ravel()
        if p.shape != y.shape:
            raise BadInputError(
                f"{len(p)} predictions but {len(y)} outcomes",
                where=version,
                remedy="Give one outcome for each",
            )
        known = ~np.isnan(y)
        check_probabilities(p[known])
        if known.any():
            with self._lock:
                self._group(Group(version, variant)).add(p[known], y[known] > 0.5, self.threshold)

    def merge(self, other: MetricsCollector) -> Self:
        """Add what another collector with the same threshold counted; returns self.

        Raises:
            BadInputError: The thresholds differ.
        """
        if other.threshold != self.threshold:
            raise BadInputError("collectors with different thresholds cannot be merged", where="threshold")
        with other._lock:
            copies: list[tuple[Group, _Counts]] = []
            for group, counts in other._counts.items():
                copy = _Counts()
                copy.merge(counts)
                copies.append((group, copy))
        with self._lock:
            for group, counts in copies:
                self._group(group).merge(counts)
        return self

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that have predictions, in order."""
        with self._lock:
            return tuple(sorted(self._counts))

    def metrics(self, version: str, variant: str = "") -> ProbabilityMetrics:
        """Quality of one group.

        Raises:
            BadInputError: Nothing was recorded for it.
        """
        with self._lock:
            counts = self._counts.get(Group(version, variant))
            if counts is None:
                raise BadInputError(
                    "nothing was recorded for this version and variant", where=f"{version} {variant}".strip()
                )
            return counts.metrics()

    def table(self) -> pl.DataFrame:
        """One row per group: version, variant and every metric but the bins."""
        rows: list[dict[str, Any]] = []
        for group in self.groups:
            found = self.metrics(*group)
            numbers = {
                name: getattr(found, name) for name in ProbabilityMetrics.model_fields if name != "bins"
            }
            rows.append(group._asdict() | numbers)
        return pl.DataFrame(rows)

    def _group(self, group: Group) -> _Counts:
        if group not in self._counts and len(self._counts) >= self.max_groups:
            group = OVERFLOW
        return self._counts.setdefault(group, _Counts())
