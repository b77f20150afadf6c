"""How good predicted probabilities are: the ranker's heads (play, complete, like, skip).

Sources: scikit-learn's definitions for what it has; the expected calibration error of Naeini, Cooper &
Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from audotics.errors import BadInputError

N_BINS = 10
SMALLEST_PROBABILITY = 1e-7
"""Probabilities are kept this far from 0 and 1 in the log loss (the resolution of float32)."""

Probabilities = npt.NDArray[np.floating[Any]]


class ReliabilityBin(BaseModel):
    """Predictions of about the same size, and what came true.

    Args:
        low: Lower bound of the probabilities (inside, except for 0: the first bin begins at it).
        high: Upper bound (inside only in the last bin).
        n: How many predictions.
        predicted: Their mean.
        observed: Share of them that came true.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    n: int
    predicted: float
    observed: float


class ProbabilityMetrics(BaseModel):
    """Quality of predicted probabilities, as far as sums tell it.

    Args:
        n: How many predictions have a known outcome.
        base_rate: Share of outcomes that are positive.
        accuracy: Share of predictions on the right side of the threshold.
        precision: Share of positive predictions that came true, 0 without any.
        recall: Share of positive outcomes that were predicted, 0 without any.
        f1: Harmonic mean of precision and recall, 0 without either.
        log_loss: Mean negative log likelihood in nats.
        calibration_error: Mean distance of predicted and observed over ``bins``, weighted by ``n``.
        bins: Reliability diagram; empty bins are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    base_rate: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    log_loss: float
    calibration_error: float
    bins: tuple[ReliabilityBin, ...]


class HeadMetrics(ProbabilityMetrics):
    """Quality of one head's probabilities.

    Args:
        threshold: Probability from which a prediction counts as positive.
        roc_auc: Chance that a positive outcome has the higher probability; None if all outcomes are alike.
    """

    threshold: float
    roc_auc: float | None


def metrics_from_sums(
    confusion: npt.NDArray[np.int64], log_loss: float, bins: tuple[ReliabilityBin, ...]
) -> ProbabilityMetrics:
    """Quality from counts that can be added up over time and processes.

    Args:
        confusion: ``[4]`` from `confusion_counts`, at least one prediction in all.
        log_loss: Sum from `log_loss_sum`.
        bins: Reliability diagram of the same predictions.
    """
    n = int(confusion.sum())
    _, false_positive, false_negative, true_positive = confusion.tolist()
    return ProbabilityMetrics(
        n=n,
        base_rate=(true_positive + false_negative) / n,
        accuracy=(n - false_positive - false_negative) / n,
        precision=_share(true_positive, true_positive + false_positive),
        recall=_share(true_positive, true_positive + false_negative),
        f1=_share(2 * true_positive, 2 * true_positive + false_positive + false_negative),
        log_loss=log_loss / n,
        calibration_error=calibration_error(bins),
        bins=bins,
    )


def confusion_counts(
    probability: npt.NDArray[np.float64], outcome: npt.NDArray[np.bool_], threshold: float
) -> npt.NDArray[np.int64]:
    """How many predictions ``[n]`` there are of each kind ``[4]``: place ``2 * outcome + prediction``."""
    return np.bincount(2 * outcome + (probability >= threshold), minlength=4)


def log_loss_sum(probability: npt.NDArray[np.float64], outcome: npt.NDArray[np.bool_]) -> float:
    """Negative log likelihood of the outcomes ``[n]`` in nats, summed."""
    clipped = np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -float(np.log(np.where(outcome, clipped, 1 - clipped)).sum())


def head_metrics(
    probability: Probabilities, outcome: npt.NDArray[Any], *, threshold: float = 0.5, n_bins: int = N_BINS
) -> HeadMetrics:
    """Quality of predicted probabilities.

    Args:
        probability: ``[n]`` in [0, 1].
        outcome: ``[n]``: 1 it happened, 0 it did not, NaN nothing is known (left out).
        threshold: Probability from which a prediction counts as positive.
        n_bins: Bins of equal width of the reliability diagram.

    Raises:
        BadInputError: Nothing has a known outcome, or a probability lies outside [0, 1].
    """
    from sklearn.metrics import roc_auc_score

    known = ~np.isnan(np.asarray(outcome, np.float64))
    p, y = np.asarray(probability, np.float64)[known], np.asarray(outcome, np.float64)[known] > 0.5
    check_probabilities(p)
    if len(p) == 0:
        raise BadInputError("no prediction has a known outcome", remedy="Give outcomes of 0 or 1")
    found = metrics_from_sums(
        confusion_counts(p, y, threshold), log_loss_sum(p, y), reliability_bins(p, y, n_bins)
    )
    return HeadMetrics(
        **dict(found),
        threshold=threshold,
        roc_auc=float(roc_auc_score(y, p)) if 0 < y.sum() < len(y) else None,
    )


def evaluate_heads(
    probabilities: Probabilities, labels: npt.NDArray[Any], heads: Sequence[str], *, threshold: float = 0.5
) -> dict[str, HeadMetrics]:
    """Quality of every head of a ranker.

    Args:
        probabilities: ``[..., n_heads]`` in [0, 1]; whatever stands where nothing is known is ignored.
        labels: The same shape: 1 it happened, 0 it did not, NaN nothing is known or padded.
        heads: Names of the last axis.
        threshold: Probability from which a prediction counts as positive.

    Returns:
        Name -> quality; heads without any known outcome are left out.
    """
    return {
        head: head_metrics(probabilities[..., place], labels[..., place], threshold=threshold)
        for place, head in enumerate(heads)
        if not np.isnan(labels[..., place]).all()
    }


def reliability_bins(
    probability: npt.NDArray[np.float64], outcome: npt.NDArray[Any], n_bins: int = N_BINS
) -> tuple[ReliabilityBin, ...]:
    """Mean prediction and share that came true in bins of equal width ``[i / n_bins, (i + 1) / n_bins)``."""
    place = np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)
    return bins_from_sums(
        np.bincount(place, minlength=n_bins),
        np.bincount(place, weights=probability, minlength=n_bins).astype(np.float64),
        np.bincount(place, weights=outcome, minlength=n_bins).astype(np.float64),
    )


def bins_from_sums(
    n: npt.NDArray[np.int64], predicted: npt.NDArray[np.float64], observed: npt.NDArray[np.float64]
) -> tuple[ReliabilityBin, ...]:
    """Bins of equal width from their counts, sums of probabilities and sums of outcomes ``[n_bins]`` each."""
    n_bins = len(n)
    return tuple(
        ReliabilityBin(
            low=place / n_bins,
            high=(place + 1) / n_bins,
            n=int(n[place]),
            predicted=float(predicted[place] / n[place]),
            observed=float(observed[place] / n[place]),
        )
        for place in np.flatnonzero(n).tolist()
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error ``sum_b n_b / n |observed_b - predicted_b|`` (Naeini et al. 2015)."""
    total = sum(part.n for part in bins)
    return sum(part.n * abs(part.observed - part.predicted) for part in bins) / total if total else 0.0


def check_probabilities(probability: npt.NDArray[np.float64]) -> None:
    """Refuse what is not a probability.

    Raises:
        BadInputError: A value is not a number or lies outside [0, 1].
    """
    if not np.all((probability >= 0) & (probability <= 1)):
        raise BadInputError(
            "probabilities must lie between 0 and 1",
            remedy="Give calibrated probabilities, not scores or logits",
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
