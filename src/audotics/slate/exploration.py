"""Exploration: some places hold a track drawn at random, with the chance of everything shown known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray, IndexArray

Seeds = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Explored:
    """A slate after the draws, ``[batch, k]`` each.

    Args:
        slots: Candidate at each place, -1 where there is none.
        propensities: Chance that this candidate stands at this place, 1 where nothing is drawn.
        drawn: Whether the place holds a drawn track.
        inclusion: Chance that this candidate stands anywhere in the slate.
    """

    slots: IndexArray
    propensities: FloatArray
    drawn: BoolArray
    inclusion: FloatArray


def explore(
    chosen: IndexArray, lengths: IndexArray, places: tuple[int, ...], chance: float, seeds: Seeds
) -> Explored:
    """Replace the tracks at some places, each by chance, with distinct tracks of the pool.

    The pool is what follows the slate in ``chosen``. All of ``chosen`` keeps the caps together, so every
    mixture of it does. One random order of the pool is drawn; the i-th open place takes its i-th track
    if the place explores. So at every open place each track of the pool is equally likely, and with
    ``e`` the chance and ``n`` the pool's size the propensity of a drawn track is ``e / n``, that of the
    track which stays ``1 - e``. Places beyond the pool's size stay closed.

    Args:
        chosen: ``[batch, k + n_pool]`` candidates, best first, padded with -1 at the end.
        lengths: ``[batch]``: length of each slate, at most ``k``; what follows is the pool.
        places: Places open to exploration, 1 is the first; those beyond a slate are ignored.
        chance: Probability that an open place explores.
        seeds: ``[batch]``: one seed for each request; the same seed gives the same draws.
    """
    batch, total = chosen.shape
    rows = np.arange(batch)
    k = min(int(lengths.max(initial=0)), total)
    held = (chosen >= 0).sum(axis=1)
    shown = np.minimum(lengths, held)
    pool = held - shown
    slots = np.where(np.arange(k) < shown[:, None], chosen[:, :k], -1).astype(np.int32)
    propensities = np.ones((batch, k), np.float32)
    inclusion = np.ones((batch, k), np.float32)
    drawn = np.zeros((batch, k), np.bool_)
    in_pool = (np.arange(total) >= shown[:, None]) & (np.arange(total) < held[:, None])
    order = np.where(in_pool, uniforms(seeds, total), 2.0).argsort(axis=1)
    coins = uniforms(seeds ^ np.uint64(0x5851F42D4C957F2D), len(places))
    open_places = [place - 1 for place in sorted(set(places)) if place <= k]
    n_open = np.minimum(sum((shown > place).astype(np.int64) for place in open_places), pool)
    for number, place in enumerate(open_places):
        is_open = (place < shown) & (number < pool)
        takes = is_open & (coins[:, number] < chance)
        track = chosen[rows, order[:, min(number, total - 1)]]
        slots[takes, place] = track[takes]
        drawn[takes, place] = True
        size = np.maximum(pool, 1)
        propensities[:, place] = np.where(takes, chance / size, np.where(is_open, 1.0 - chance, 1.0))
        inclusion[:, place] = np.where(takes, n_open * chance / size, propensities[:, place])
    return Explored(slots, propensities, drawn, inclusion)


def uniforms(seeds: Seeds, n: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) that depend on the seed alone ``[batch, n]``.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over a counter: a request's draws are the same in any
    batch, which a shared generator would not give.
    """
    with np.errstate(over="ignore"):
        state = seeds[:, None] + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    numbers: npt.NDArray[np.float64] = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers
