"""How well an ordering of candidate lists puts the played tracks first, for choosing between fits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audotics.domain import FloatArray
from audotics.ranking.protocol import RankingExamples

CUTOFF = 20


def validation_ndcg(
    scores: FloatArray,
    labels: FloatArray,
    k: int = CUTOFF,
    n_positives: npt.NDArray[np.integer] | None = None,
) -> FloatArray:
    """NDCG@k of each list, with binary gains.

    ``DCG@k = sum over ranks r <= k of label(r) / log2(r + 1)``, divided by the DCG of an ordering that
    starts with ``min(k, n_positives)`` hits (Järvelin and Kekäläinen 2002, ACM TOIS 20(4)).

    Args:
        scores: ``[n_lists, width]``, -inf where a slot is padded. Ties keep the order of the slots.
        labels: ``[n_lists, width]``, above 0 where the listener played the track; NaN counts as not played.
        k: Cutoff.
        n_positives: ``[n_lists]``, played tracks of each list including those that are not among its
            candidates; default: those among them.

    Returns:
        ``[n_lists]``; 0 for a list without positives.
    """
    hits = (labels > 0) & (scores > -np.inf)
    ideal_hits = hits.sum(axis=1) if n_positives is None else n_positives
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    top_hits = np.take_along_axis(hits, best, axis=1)
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    gained = top_hits @ discounts[: top_hits.shape[1]]
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(ideal_hits, k)]
    ndcg: FloatArray = np.divide(gained, ideal, out=np.zeros_like(gained), where=ideal > 0).astype(np.float32)
    return ndcg


def mean_ndcg(scores: FloatArray, examples: RankingExamples) -> float:
    """Mean NDCG@20 on the ``play`` label, the figure by which fits are compared."""
    return float(validation_ndcg(scores, examples.labels[..., 0]).mean(dtype=np.float64))
