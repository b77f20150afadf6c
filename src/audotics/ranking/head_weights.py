"""How much completing, liking or skipping a track counts beside the ranker's own order."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray
from audotics.errors import BadInputError

SURFACES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "focus": MappingProxyType({"complete": 1.0, "skip": -1.0}),
        "background": MappingProxyType({"skip": -1.0}),
        "discover": MappingProxyType({"like": 1.0, "skip": -0.5}),
    }
)
"""Weights of the heads by the place in the app that asks."""

_LEAST_CHANCE = 1e-6
_Doubles = npt.NDArray[np.float64]


def surface_weights(surface: str, heads: Collection[str]) -> dict[str, float]:
    """The weights of a surface, without the heads that the data does not have.

    Args:
        surface: A name in `SURFACES`.
        heads: What there are probabilities of.

    Raises:
        BadInputError: There is no surface of that name.
    """
    if surface not in SURFACES:
        raise BadInputError(
            f"there is no surface {surface!r}", where="surface", remedy=f"Known are {', '.join(SURFACES)}"
        )
    return {head: weight for head, weight in SURFACES[surface].items() if head in heads}


def weighted_by_heads(
    scores: FloatArray, probabilities: Mapping[str, FloatArray], weights: Mapping[str, float]
) -> FloatArray:
    """The ranker's scores with the chances of reactions weighed in.

    ``score + deviation(scores) * sum over heads of weight * z(logit P)``, deviation and z taken over each
    list's own candidates: weight 1 lets one standard deviation of a head's log odds count as much as one
    of the ranker's own score, on any data set and with any ranker.

    Args:
        scores: ``[n_lists, width]`` of the ranker, -inf where padded.
        probabilities: ``[n_lists, width]`` by head.
        weights: Weight by head; 0 leaves a head out, below 0 it counts against a track.

    Returns:
        ``[n_lists, width]``, -inf where padded; ``scores`` themselves if no weight differs from 0.

    Raises:
        BadInputError: A weight is no finite number, or belongs to a head that is not there.
    """
    _check(weights, probabilities)
    present = np.isfinite(scores)
    total = np.zeros(scores.shape)
    for head, weight in weights.items():
        if weight:
            chance = np.clip(probabilities[head].astype(np.float64), _LEAST_CHANCE, 1 - _LEAST_CHANCE)
            total += weight * _standardised(np.log(chance) - np.log1p(-chance), present)
    if not total.any():
        return scores
    deviation = _deviation(np.where(present, scores, 0.0).astype(np.float64), present)
    # Where the ranker tells no track from another, the heads alone decide.
    scale = np.where(deviation > 0, deviation, 1.0)
    combined: FloatArray = np.where(present, scores + scale * total, -np.inf).astype(np.float32)
    return combined


def _check(weights: Mapping[str, float], probabilities: Mapping[str, FloatArray]) -> None:
    for head, weight in weights.items():
        if not math.isfinite(weight):
            raise BadInputError(f"the weight of {head!r} is {weight}", where="weights")
        if weight and head not in probabilities:
            raise BadInputError(
                f"there is no head {head!r} to weigh",
                where="weights",
                remedy=f"This version knows {', '.join(probabilities)}",
            )


def _standardised(values: _Doubles, present: BoolArray) -> _Doubles:
    """Each list's values with mean 0 and deviation 1; 0 where padded and where all are the same."""
    deviation = _deviation(values, present)
    centred = values - _mean(values, present)
    scaled: _Doubles = np.divide(
        centred, deviation, out=np.zeros_like(values), where=present & (deviation > 0)
    )
    return scaled


def _mean(values: _Doubles, present: BoolArray) -> _Doubles:
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    mean: _Doubles = values.sum(axis=1, keepdims=True, where=present) / count
    return mean


def _deviation(values: _Doubles, present: BoolArray) -> _Doubles:
    """``[n_lists, 1]``; exactly 0 where only rounding tells the values apart."""
    mean = _mean(values, present)
    deviation: _Doubles = np.sqrt(_mean(np.square(values - mean), present))
    deviation[deviation <= 1e-9 * np.maximum(1.0, np.abs(mean))] = 0.0
    return deviation
