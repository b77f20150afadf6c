"""How much one listener's plays of one track count: from yes or no to the logarithm of the plays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audotics.data.interactions import Interactions
from audotics.domain import FloatArray


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
    weights = (1.0 + strength * np.log1p(plays / scale)) / (1.0 + strength * np.log(2.0))
    as_float32: FloatArray = weights.astype(np.float32)
    return as_float32
