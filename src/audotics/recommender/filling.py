"""From scored candidates to slates in index space: the ranker's order, or what the rules make of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray
from audotics.recommender.queries import Wishes
from audotics.slate.assembly import RankedLists, SlateMaker
from audotics.slate.catalogue import SlateCatalogue


@dataclass(frozen=True, slots=True)
class Answers:
    """Slates of a batch in index space.

    Args:
        track_index: ``[batch, k]``, best first, padded with -1.
        scores: ``[batch, k]``, the ranker's, -inf where padded.
        source: ``[batch, k]``, number of the retriever that argued most for each track, -1 where padded.
        propensities: ``[batch, k]``, see `audotics.domain.Slate`.
        drawn: ``[batch, k]``, whether exploration drew the track.
        acted: How often each rule acted, see `SlateStatistics`.
    """

    track_index: IndexArray
    scores: FloatArray
    source: IndexArray
    propensities: FloatArray
    drawn: BoolArray
    acted: Counter[str] = field(default_factory=Counter)


def depth_needed(k: int, wishes: Wishes | None) -> int:
    """How many tracks each retriever proposes at least: rules pass some over, exploration needs a pool."""
    if wishes is None or wishes.keep_order:
        return k
    return max(2 * k + (rules.explore_pool if rules.explore > 0 else 0) for rules in wishes.rules)


def filled(
    catalogue: SlateCatalogue,
    candidates: tuple[IndexArray, FloatArray, IndexArray],
    histories: Interactions,
    k: int,
    wishes: Wishes | None,
) -> Answers:
    """The slates of one block of queries.

    Args:
        catalogue: What rules know of tracks.
        candidates: Tracks, scores and sources ``[batch, width]``; padded with -1, -inf and anything.
        histories: What each listener plays.
        k: Length of the longest slate.
        wishes: The rules by row; None keeps the order of the scores.
    """
    track_index, scores, source = candidates
    if wishes is None or wishes.keep_order:
        best, order = best_candidates(scores, track_index, k)
        return _answers(best, scores, source, order)
    _, order = best_candidates(scores, track_index, scores.shape[1])
    ranked = np.take_along_axis(track_index, order, axis=1)
    slots = np.full((len(ranked), k), PADDING, np.int32)
    propensities, drawn = np.ones(slots.shape, np.float32), np.zeros(slots.shape, np.bool_)
    ordered = np.take_along_axis(scores, order, axis=1)
    acted: Counter[str] = Counter()
    for rules, rows in wishes.by_rules:
        lists = RankedLists(
            ranked[rows], ordered[rows], wishes.lengths[rows], histories.rows(rows), wishes.seeds[rows]
        )
        made = SlateMaker(rules, catalogue).fill(lists)
        width = made.slots.shape[1]
        slots[rows, :width] = made.slots
        propensities[rows, :width], drawn[rows, :width] = made.propensities, made.drawn
        acted.update(made.acted)
    places = np.take_along_axis(order, np.maximum(slots, 0), axis=1)
    best = np.where(slots >= 0, np.take_along_axis(track_index, places, axis=1), PADDING).astype(np.int32)
    answers = _answers(best, scores, source, places)
    return Answers(answers.track_index, answers.scores, answers.source, propensities, drawn, acted)


def best_candidates(scores: FloatArray, track_index: IndexArray, k: int) -> tuple[IndexArray, IndexArray]:
    """The ``k`` best candidates of each list, and their slots.

    Args:
        scores: ``[batch, width]``, -inf where padded.
        track_index: ``[batch, width]``.
        k: Length of the result.

    Returns:
        Tracks ``[batch, k]``, best first, padded with -1; slots ``[batch, min(k, width)]``.
    """
    # A stable sort: ties go to the lower index, so an answer does not depend on the block it came from.
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    return _padded(np.take_along_axis(track_index, order, axis=1), k, PADDING), order


def _answers(best: IndexArray, scores: FloatArray, source: IndexArray, places: IndexArray) -> Answers:
    """Scores and sources of the tracks taken from ``places [batch, <= k]``."""
    k = best.shape[1]
    shown = best != PADDING
    taken = _padded(np.take_along_axis(scores, places, axis=1), k, -np.inf)
    argued = _padded(np.take_along_axis(source, places, axis=1), k, PADDING)
    return Answers(
        track_index=best,
        scores=np.where(shown, taken, -np.inf).astype(np.float32),
        source=np.where(shown, argued, PADDING).astype(np.int32),
        propensities=np.ones(best.shape, np.float32),
        drawn=np.zeros(best.shape, np.bool_),
    )


def _padded(values: np.ndarray, k: int, filler: float) -> np.ndarray:
    missing = k - values.shape[1]
    return values if missing <= 0 else np.pad(values, ((0, 0), (0, missing)), constant_values=filler)
