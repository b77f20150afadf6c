"""How alike the lists of two systems are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from audotics.domain import PADDING, IndexArray

PERSISTENCE = 0.9
"""Chance of reading on after each place, of rank-biased overlap: the first ten places weigh 86 %."""


class Overlap(BaseModel):
    """Likeness of two systems' lists for the same listeners, 1 = the same.

    Args:
        k: Length of the lists.
        n_listeners: Listeners who got a list from both.
        jaccard: Mean share of tracks that both lists hold, of those that either holds; order does not count.
        rank_biased: Mean rank-biased overlap: the top counts most.
        same_top: Share of listeners with the same first track.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int
    n_listeners: int
    jaccard: float
    rank_biased: float
    same_top: float


def overlap(first: IndexArray, second: IndexArray) -> Overlap:
    """Compare lists in pairs.

    Args:
        first: ``[n_listeners, k]`` track numbers, best first, no repeats, padded with -1.
        second: The same listeners' lists of the other system, with the same numbers.
    """
    both = (first[:, 0] != PADDING) & (second[:, 0] != PADDING)
    one, other, k = first[both], second[both], first.shape[1]
    if not len(one):
        return Overlap(k=k, n_listeners=0, jaccard=0.0, rank_biased=0.0, same_top=0.0)
    shared = shared_by_depth(one, other)
    n_either = (one != PADDING).sum(axis=1) + (other != PADDING).sum(axis=1) - shared[:, -1]
    return Overlap(
        k=k,
        n_listeners=len(one),
        jaccard=float((shared[:, -1] / n_either).mean()),
        rank_biased=float(rank_biased_overlap(shared).mean()),
        same_top=float((one[:, 0] == other[:, 0]).mean()),
    )


def shared_by_depth(first: IndexArray, second: IndexArray) -> npt.NDArray[np.int64]:
    """Tracks that the first ``d`` places of both lists share, for each depth ``[n_listeners, k]``."""
    same = (first[:, :, None] == second[:, None, :]) & (first[:, :, None] != PADDING)
    row, here, there = np.nonzero(same)
    k = first.shape[1]
    # A track is shared from the depth on at which the later of its two places is reached.
    counts = np.bincount(row * k + np.maximum(here, there), minlength=len(first) * k)
    return np.cumsum(counts.reshape(len(first), k), axis=1)


def rank_biased_overlap(
    shared: npt.NDArray[np.int64], persistence: float = PERSISTENCE
) -> npt.NDArray[np.float64]:
    """Extrapolated rank-biased overlap ``[n_listeners]`` (Webber, Moffat & Zobel, TOIS 2010, equation 23).

    ``X_k / k p^k + (1 - p) / p sum_d X_d / d p^d`` with ``X_d`` shared tracks at depth ``d``.

    Args:
        shared: ``[n_listeners, k]``, from `shared_by_depth`.
        persistence: ``p``, in (0, 1).
    """
    k = shared.shape[1]
    depth = np.arange(1, k + 1)
    agreement = shared / depth
    weighted = agreement @ persistence**depth
    found: npt.NDArray[np.float64] = (
        agreement[:, -1] * persistence**k + (1 - persistence) / persistence * weighted
    )
    return found
