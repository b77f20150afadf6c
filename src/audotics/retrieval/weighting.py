"""How much a listener's plays of a track count: by their number, and by how many tracks came since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.data.compressed import Compressed
from audotics.data.interactions import Interactions
from audotics.domain import FloatArray
from audotics.retrieval.protocol import Choice


def play_scale(interactions: Interactions) -> float:
    """The median number of plays of a pair (1 where there is none): what `play_weights` calls usual."""
    return float(np.median(interactions.plays)) if interactions.n_pairs else 1.0


def play_weights(plays: npt.NDArray[np.float32], scale: float, strength: float) -> FloatArray:
    """Weight of pairs by their plays: ``(1 + s ln(1 + plays / scale)) / (1 + s ln 2)``.

    The logarithmic confidence of Hu, Koren and Volinsky (2008), measured against the usual number of
    plays, so that one strength fits services with ten plays a pair and with ten thousand. A usual pair
    weighs 1, hence data without counts weighs 1 everywhere.

    Args:
        plays: ``[n_pairs]``, at least 0.
        scale: The usual number of plays, see `play_scale`.
        strength: ``s``; 0 makes every pair weigh 1.

    Returns:
        ``[n_pairs]`` weights above 0.
    """
    if strength == 0:
        return np.ones(len(plays), np.float32)
    weights = (1.0 + strength * np.log1p(plays / scale)) / (1.0 + strength * np.log(2.0))
    as_float32: FloatArray = weights.astype(np.float32)
    return as_float32


def recency_weights(histories: Interactions, half_life: float | None) -> FloatArray:
    """Weight ``0.5 ** (n / half_life)`` of pairs, with ``n`` tracks of the same row heard since.

    Counted in tracks and not in days, one half-life suits a listener of three tracks a week and one of
    thirty a day, and it works for data with order and no times.

    Args:
        histories: Rows, oldest track first.
        half_life: Tracks after which a play counts half; None makes every pair weigh 1.

    Returns:
        ``[n_pairs]`` weights in (0, 1].
    """
    if half_life is None:
        return np.ones(histories.n_pairs, np.float32)
    weights: FloatArray = np.exp2(-histories.tracks_since / half_life).astype(np.float32)
    # Never 0: a stored zero would be an entry that says nothing.
    return np.maximum(weights, np.float32(1e-6))


class HistoryWeights:
    """Weighs the history of a query the way training saw histories.

    Args:
        scale: The usual number of plays, see `play_scale`.
        strength: How much repeated plays count, see `play_weights`.
        half_life: How fast plays fade, see `recency_weights`.
        ordered: Whether training's histories had an order; without one, nothing fades.
    """

    def __init__(self, scale: float, strength: float, half_life: float | None, *, ordered: bool) -> None:
        self._scale = scale
        self._strength = strength
        self._half_life = half_life if ordered else None

    @classmethod
    def learned(
        cls, arrays: Mapping[str, npt.NDArray[Any]], strength: float, half_life: float | None
    ) -> HistoryWeights:
        """From what `weighting_arrays` gave."""
        scale, ordered = float(arrays["play_scale"][0]), bool(arrays["ordered"][0])
        return cls(scale, strength, half_life, ordered=ordered)

    def of(self, histories: Interactions) -> FloatArray:
        """Weights of all pairs ``[n_pairs]``, above 0."""
        plays = play_weights(histories.plays, self._scale, self._strength)
        if self._half_life is not None:
            plays *= recency_weights(histories, self._half_life)
        return plays

    def rows(self, histories: Interactions) -> Compressed:
        """The same as rows ``[batch, n_tracks]``; shares the histories' tracks."""
        return Compressed(self.of(histories), histories.track_index, histories.indptr, histories.n_tracks)


def weighting_arrays(interactions: Interactions) -> dict[str, npt.NDArray[Any]]:
    """What `HistoryWeights` needs to know of training, as arrays."""
    return {
        "play_scale": np.array([play_scale(interactions)], np.float32),
        "ordered": np.array([interactions.ordered]),
    }


HALF_LIFE = Choice((None, 100.0, 30.0, 10.0))
"""Where tuning looks for the half-life of a history."""
