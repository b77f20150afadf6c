"""The contest between rankers: who serves is decided on listeners that taught none of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audotics.domain import FloatArray, IndexArray
from audotics.ranking.blend import BlendRanker
from audotics.ranking.protocol import Ranker, RankingExamples
from audotics.ranking.quality import validation_ndcg


@dataclass(frozen=True, slots=True)
class Standing:
    """One ranker's result.

    Args:
        name: The ranker.
        ndcg: Mean NDCG@20 on the choosing listeners.
        lead: Mean paired difference to the best simpler ranker, 0 for the first.
        standard_error: Of that difference.
        chosen: Whether this one serves.
    """

    name: str
    ndcg: float
    lead: float
    standard_error: float
    chosen: bool


def hold_contest(
    rankers: list[Ranker], examples: RankingExamples, n_positives: IndexArray
) -> tuple[Ranker, list[Standing]]:
    """Choose who serves: the simplest ranker that no other beats by more than one standard error.

    The one-standard-error rule (Breiman et al. 1984, Classification and Regression Trees, section
    3.4.3), on paired differences over listeners. For the blend the rule is turned round: it serves unless
    another beats it by more than two of them. Some hundred listeners cannot tell good rankers apart, and then
    their mean is a better guess than the luckiest one.

    Args:
        rankers: Fitted, simplest first.
        examples: Lists of listeners that taught none of them.
        n_positives: ``[n_lists]`` hidden plays, whether or not they are among the candidates.
    """
    quality = [_quality(ranker, examples, n_positives) for ranker in rankers]
    best = 0
    leads = [(0.0, 0.0)]
    for number in range(1, len(rankers)):
        lead, error = paired_lead(quality[number], quality[best])
        leads.append((lead, error))
        if lead > (-2 * error if rankers[number].name == BlendRanker.name else error):
            best = number
    standings = [
        Standing(ranker.name, float(ndcg.mean()), lead, error, number == best)
        for number, (ranker, ndcg, (lead, error)) in enumerate(zip(rankers, quality, leads, strict=True))
    ]
    return rankers[best], standings


def _quality(ranker: Ranker, examples: RankingExamples, n_positives: IndexArray) -> FloatArray:
    return validation_ndcg(ranker.score(examples.inputs), examples.labels[..., 0], n_positives=n_positives)


def paired_lead(challenger: FloatArray, incumbent: FloatArray) -> tuple[float, float]:
    """Mean difference over the same listeners ``[n_listeners]``, and its standard error."""
    difference = challenger.astype(np.float64) - incumbent
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return float(difference.mean()), float(error)
