"""Lists from scores of all tracks, for peers that score and do not rank."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audotics.benchmark.protocol import padded
from audotics.data.interactions import Interactions
from audotics.domain import FloatArray, IndexArray
from audotics.recommender.candidates import blocks
from audotics.retrieval.top_k import top_k

ScoreBlock = Callable[[IndexArray], FloatArray]
"""Scores ``[batch, n_tracks]``, writable, of listeners ``[batch]``; -inf for what must not be in a list."""


def best_tracks(
    score: ScoreBlock, histories: Interactions, user_index: IndexArray, k: int, *, include_heard: bool
) -> IndexArray:
    """The ``k`` best tracks of each listener ``[len(user_index), k]``, block by block in bounded memory.

    Args:
        score: Scores one block.
        histories: What every listener has heard.
        user_index: Whose lists.
        k: Most tracks per listener.
        include_heard: Whether heard tracks may be in the list.
    """
    parts = [np.zeros((0, k), np.int32)]
    for start, stop in blocks(len(user_index), histories.n_tracks):
        asked = user_index[start:stop]
        scores = score(asked)
        if not include_heard:
            heard = histories.rows(asked)
            scores[heard.row_index, heard.track_index] = -np.inf
        parts.append(padded(top_k(scores, k), k))
    return np.concatenate(parts)
