"""Systems under evaluation: what answers, and what was found of it listener by listener."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from audotics.errors import BadInputError
from audotics.evaluation.heads import HeadMetrics
from audotics.evaluation.metrics import MetricArray
from audotics.evaluation.report import Comparison
from audotics.evaluation.segments import Segment
from audotics.evaluation.significance import N_RESAMPLES, holm, paired_difference


class Answerer(Protocol):
    """What recommends: the Recommender, a baseline, a file of lists."""

    def __call__(self, user_ids: Sequence[str], k: int, /) -> Sequence[Sequence[str]]:
        """Up to ``k`` track ids for each listener, best first, in the order of ``user_ids``."""
        ...


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One system's values, listener by listener, so that systems can be compared in pairs.

    Args:
        name: What the system is called.
        metrics: ``"ndcg@20" -> [n_listeners]`` in the order of `ModelEvaluator.user_ids`;
            NaN where a listener has no value (the diversity of a list of one track).
        catalogue: Values of all lists together.
        segments: Values on test pairs of one kind alone, NaN for listeners without such pairs.
        n_without_lists: Listeners who got no recommendation.
        seconds: How long answering took, None if not timed here.
        heads: Quality of the ranker's probabilities, if it has any.
    """

    name: str
    metrics: dict[str, MetricArray]
    catalogue: dict[str, float]
    segments: dict[Segment, dict[str, MetricArray]]
    n_without_lists: int
    seconds: float | None
    heads: dict[str, HeadMetrics]


def find_system(results: Sequence[SystemResult], name: str) -> SystemResult:
    """The result of one system.

    Raises:
        BadInputError: There is none of that name.
    """
    for result in results:
        if result.name == name:
            return result
    raise BadInputError(f"no system was evaluated as '{name}'", remedy="Name one of the evaluated systems")


def compare_systems(
    results: Sequence[SystemResult],
    reference: str,
    metrics: Sequence[str],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """The reference against each other system on each metric, corrected for their number (Holm).

    Args:
        results: Systems evaluated on the same listeners.
        reference: Name of the one that the others are baselines of.
        metrics: What to compare, as ``"ndcg@20"``.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resampling.

    Raises:
        BadInputError: No result has the name ``reference``, or a metric was not evaluated.
    """
    system = find_system(results, reference)
    baselines = [result for result in results if result.name != reference]
    found: list[Comparison] = []
    for metric in metrics:
        if any(metric not in result.metrics for result in results):
            raise BadInputError(
                f"metric '{metric}' was not evaluated", remedy=f"There are: {', '.join(system.metrics)}"
            )
        pairs = [
            paired_difference(
                system.metrics[metric], other.metrics[metric], n_resamples=n_resamples, seed=seed
            )
            for other in baselines
        ]
        corrected = holm([pair.p_value for pair in pairs])
        found.extend(
            Comparison(metric=metric, system=reference, baseline=other.name, p_holm=p, **pair.model_dump())
            for other, pair, p in zip(baselines, pairs, corrected, strict=True)
        )
    return tuple(found)
