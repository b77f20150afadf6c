"""Ranking metrics per listener, from which recommended tracks were test tracks (binary relevance).

Each metric reads ``hits`` ``[n_listeners, k]`` (True where the track at that rank is a test track;
column 0 is rank 1) and ``n_test`` ``[n_listeners]`` (test tracks of the listener, found or not) and
gives ``[n_listeners]``. A list shorter than the cutoff has misses at its end. A listener
without test tracks has no value (NaN): averages leave them out.

Sources: Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002 (NDCG);
Voorhees, "The TREC-8 question answering track report", 1999 (reciprocal rank); Manning, Raghavan &
Schütze, "Introduction to Information Retrieval", 2008, chapter 8 (precision, recall, average precision);
Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004 (hit rate).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, IndexArray, TimeArray
from audotics.evaluation.holdout import Holdout

MetricArray: TypeAlias = npt.NDArray[np.float64]
Metric: TypeAlias = Callable[[BoolArray, TimeArray, int], MetricArray]


def ndcg(hits: BoolArray, n_test: TimeArray, cutoff: int) -> MetricArray:
    """Normalised discounted cumulated gain (Järvelin & Kekäläinen 2002).

    ``sum_r hit_r / log2(r + 1)`` over ranks up to the cutoff, divided by that sum for
    ``min(cutoff, n_test)`` hits at the top: 1 when every place that could hold a test track does.
    """
    top = hits[:, :cutoff]
    discount = 1.0 / np.log2(np.arange(2, cutoff + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])
    gain = top.astype(np.float64) @ discount[: top.shape[1]]
    return np.asarray(gain / ideal[np.minimum(n_test, cutoff)], np.float64)


def recall(hits: BoolArray, n_test: TimeArray, cutoff: int) -> MetricArray:
    """Share of the test tracks that the list holds: ``hits / n_test`` (Manning et al. 2008, 8.3)."""
    return _hits_over(hits, cutoff, _known(n_test))


def precision(hits: BoolArray, n_test: TimeArray, cutoff: int) -> MetricArray:
    """Share of the places that hold a test track: ``hits / cutoff`` (Manning et al. 2008, 8.3)."""
    return _hits_over(hits, cutoff, np.where(n_test > 0, float(cutoff), np.nan))


def average_precision(hits: BoolArray, n_test: TimeArray, cutoff: int) -> MetricArray:
    """Mean of the precision at each hit: ``sum(hit_r * precision@r) / min(cutoff, n_test)``.

    Its mean over listeners is MAP (Manning et al. 2008, 8.4). Divided by what the list could hold
    at best, so that a perfect list has 1 at any cutoff.
    """
    top = hits[:, :cutoff]
    at_rank = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    total = np.einsum("ij,ij->i", at_rank, top)
    return np.asarray(total / np.minimum(_known(n_test), cutoff), np.float64)


def reciprocal_rank(hits: BoolArray, n_test: TimeArray, cutoff: int) -> MetricArray:
    """``1 / rank`` of the first hit, 0 without one; its mean over listeners is MRR (Voorhees 1999)."""
    top = hits[:, :cutoff]
    value = np.where(top.any(axis=1), 1.0 / (top.argmax(axis=1) + 1.0), 0.0)
    return np.where(n_test > 0, value, np.nan)


def hit_rate(hits: BoolArray, n_test: TimeArray, cutoff: int) -> MetricArray:
    """1 if the list holds any test track, else 0 (Deshpande & Karypis 2004)."""
    return np.where(n_test > 0, hits[:, :cutoff].any(axis=1).astype(np.float64), np.nan)


METRICS: dict[str, Metric] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}
"""Every ranking metric by the name that reports use."""


def ranking_metrics(
    recommended: IndexArray,
    holdout: Holdout,
    cutoffs: Sequence[int] = (5, 10, 20, 100),
    names: Sequence[str] = tuple(METRICS),
) -> dict[str, MetricArray]:
    """Every metric at every cutoff, per listener.

    Args:
        recommended: ``[n_listeners, k]`` track numbers, best first, no repeats, padded with -1.
        holdout: The test tracks of the same listeners, in the same order.
        cutoffs: Lengths to cut the lists at.
        names: Which metrics, by their name in `METRICS`.

    Returns:
        ``"ndcg@20" -> [n_listeners]``, NaN for listeners without test tracks.
    """
    hits, n_test = holdout.hits(recommended), holdout.lengths
    return {f"{name}@{cutoff}": METRICS[name](hits, n_test, cutoff) for cutoff in cutoffs for name in names}


def _known(n_test: TimeArray) -> MetricArray:
    return np.where(n_test > 0, n_test.astype(np.float64), np.nan)


def _hits_over(hits: BoolArray, cutoff: int, denominator: MetricArray) -> MetricArray:
    counts: MetricArray = np.count_nonzero(hits[:, :cutoff], axis=1) / denominator
    return counts
