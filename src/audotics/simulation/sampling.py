"""Drawing many times at once from many small distributions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audotics.domain import IndexArray, TimeArray


def draw_rows(
    weights: npt.NDArray[np.floating], rows: IndexArray | TimeArray, rng: np.random.Generator
) -> TimeArray:
    """One column for each of ``rows``, in proportion to that row's weights.

    Args:
        weights: ``[n_rows, n_columns]``, non-negative, each row with a positive sum.
        rows: ``[n_draws]``.
        rng: Where the randomness comes from.

    Returns:
        ``[n_draws]`` column numbers.
    """
    cumulative = np.cumsum(weights, axis=1)
    threshold = rng.random(len(rows)) * cumulative[rows, -1]
    drawn: TimeArray = (cumulative[rows, :-1] <= threshold[:, None]).sum(axis=1)
    return drawn


def draw(weights: npt.NDArray[np.floating], size: int, rng: np.random.Generator) -> TimeArray:
    """``size`` draws from one distribution over any number of outcomes, by inverting cumulative weights."""
    cumulative = np.cumsum(weights, dtype=np.float64)
    drawn: TimeArray = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
    return np.minimum(drawn, len(weights) - 1)


def place_in_group(groups: IndexArray | TimeArray) -> TimeArray:
    """How many equal values stand directly before each value ``[n]``: 0, 1, 2, ... in each run."""
    at = np.arange(len(groups))
    starts = np.append(True, groups[1:] != groups[:-1]) if len(groups) else np.zeros(0, np.bool_)
    place: TimeArray = at - np.maximum.accumulate(np.where(starts, at, 0))
    return place
