"""RankingInputs as the tensors that the deep model and its exports read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audotics.domain import FloatArray
from audotics.ranking.protocol import RankingInputs

TensorDict: TypeAlias = dict[str, npt.NDArray[Any]]

Scorer: TypeAlias = Callable[[TensorDict], TensorDict]
"""Logits by head for inputs by name."""

Runtime: TypeAlias = Callable[[Path, tuple[str, ...]], Scorer]
"""Makes the scorer of an exported deep ranker, from the folder it was saved to and the heads it has."""

_SLOTS_AT_ONCE = 65_536
"""Candidates scored together: large enough for full speed, small enough for tens of MB."""


def model_inputs(inputs: RankingInputs) -> TensorDict:
    """The arrays by input name; context and recent tracks only where they have columns."""
    tensors: TensorDict = {
        "features": inputs.features,
        "track_index": inputs.track_index,
        "user_index": inputs.user_index,
    }
    if inputs.context.shape[1]:
        tensors["context"] = inputs.context
    if inputs.recent.shape[1]:
        tensors["recent"] = inputs.recent
    return tensors


def parts(inputs: RankingInputs) -> Iterator[tuple[slice, RankingInputs]]:
    """The lists in order, in parts of bounded size, each with its place."""
    step = max(1, _SLOTS_AT_ONCE // max(1, inputs.track_index.shape[1]))
    for start in range(0, inputs.n_lists, step):
        chosen = np.arange(start, min(start + step, inputs.n_lists), dtype=np.int32)
        yield slice(start, start + len(chosen)), inputs.take(chosen)


def head_logits(scorer: Scorer, inputs: RankingInputs, head: str) -> FloatArray:
    """Logits ``[n_lists, width]`` of one head, in parts of bounded size; -inf where padded."""
    logits = np.full(inputs.track_index.shape, -np.inf, np.float32)
    for place, part in parts(inputs):
        logits[place] = np.where(part.present, scorer(model_inputs(part))[head], -np.inf)
    return logits
