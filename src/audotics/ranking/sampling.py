"""Fewer candidates per list for training: the telling ones, and a uniform sample of the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray
from audotics.ranking.protocol import RankingExamples, RankingInputs


def sample_slots(
    present: BoolArray, labels: FloatArray, n_kept: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Choose ``n_kept`` slots of each list: positives first, then a uniform sample of the others.

    Uniform sampling inside a list keeps the order that a listwise softmax learns without any
    correction: every negative has the same chance, so the constant cancels. At most half of the
    slots go to positives as long as there are others, for a list without negatives teaches nothing.

    Args:
        present: ``[n_lists, width]``.
        labels: ``[n_lists, width, n_heads]``; a slot is positive if any head is above 0.
        n_kept: Slots to keep, at most ``width``.
        rng: Source of chance.

    Returns:
        ``[n_lists, n_kept]`` slot numbers; padded slots come only where a list is shorter.
    """
    positive = (labels > 0).any(axis=-1) & present
    chance = rng.random(present.shape, dtype=np.float32)
    # Places of positives in a random order of their own: the first half of the slots is theirs.
    place = np.argsort(np.argsort(chance - positive, axis=1), axis=1)
    first = positive & (place < (n_kept + 1) // 2)
    key = chance - 2 * first + 4 * ~present + np.where(positive & ~first, 2, 0)
    return np.argpartition(key, n_kept - 1, axis=1)[:, :n_kept]


def take_slots(examples: RankingExamples, slots: npt.NDArray[np.intp]) -> RankingExamples:
    """The examples with only the chosen slots ``[n_lists, n_kept]`` of each list."""
    inputs = examples.inputs
    rows = np.arange(inputs.n_lists)[:, None]
    chosen = RankingInputs(
        inputs.features[rows, slots],
        inputs.feature_names,
        inputs.track_index[rows, slots],
        inputs.user_index,
        inputs.context,
        inputs.recent,
    )
    return RankingExamples(chosen, examples.labels[rows, slots], examples.heads)


def within_budget(examples: RankingExamples, n_rows: int, seed: int) -> RankingExamples:
    """The examples, with candidates sampled so that all lists together have about ``n_rows`` slots.

    Lists keep at least 50 slots each, so very many lists go over the budget.
    """
    n_lists, width = examples.inputs.track_index.shape
    n_kept = max(50, n_rows // max(n_lists, 1))
    if n_kept >= width:
        return examples
    rng = np.random.default_rng(seed)
    return take_slots(examples, sample_slots(examples.inputs.present, examples.labels, n_kept, rng))


def pointwise(examples: RankingExamples) -> tuple[FloatArray, IndexArray]:
    """Present candidates as rows ``[n_rows, n_features]`` with their play label ``[n_rows]`` (0 or 1)."""
    present = examples.inputs.track_index != PADDING
    played = (examples.labels[..., 0][present] > 0).astype(np.int32)
    return examples.inputs.features[present], played
