"""Whether listening spreads over tracks as it did, and whether the same tracks lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from audotics.data.describe import gini
from audotics.data.listening_profile import Popularity

N_LEADERS = 100
N_DRAWS = 100
LEAST = 1000
"""Plays that are needed to say anything."""

_TINY = 1e-12

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of two periods.

    Args:
        reference: Its value then; for turnover, what chance alone gives.
        recent: Its value now.
        p_value: Chance of such a difference without any change.
    """

    reference: float
    recent: float
    p_value: float


def concentration(
    reference: Popularity, recent: Popularity, *, design_effect: float = 1.0, seed: int = 0
) -> Spread | None:
    """Gini coefficient of plays per track, both periods thinned to as many plays.

    A longer or busier period touches more tracks, which alone changes the coefficient: plays are drawn
    without replacement from the larger period, as many as the smaller has. The noise is that of drawing
    each period again (bootstrap), widened by the design effect.

    Args:
        reference: Of the version's last days.
        recent: Of now.
        design_effect: How many plays say as much as an independent one.
        seed: Decides the draws.

    Returns:
        None where a period has fewer than `LEAST` plays.
    """
    rng = np.random.default_rng(seed)
    before, now = reference.counts, recent.counts
    n = int(min(before.sum(), now.sum()))
    if n < LEAST:
        return None
    then, today = (gini(_thinned(counts, n, rng)) for counts in (before, now))
    again = [[gini(_drawn(counts, n, rng)) for counts in (before, now)] for _ in range(N_DRAWS)]
    noise = float(np.sqrt(np.var(again, axis=0, ddof=1).sum() * design_effect))
    return Spread(then, today, 2 * float(ndtr(-abs(today - then) / max(noise, _TINY))))


def turnover(
    reference: Popularity, recent: Popularity, *, design_effect: float = 1.0, seed: int = 0
) -> Spread | None:
    """Share of the leading 100 tracks that no longer lead; the reference is what chance alone gives.

    Args:
        reference: Of the version's last days.
        recent: Of now.
        design_effect: How many plays say as much as an independent one.
        seed: Decides the draws.

    Returns:
        None where a period has fewer than `LEAST` plays, or no more tracks than twice the leaders.
    """
    before, now = reference.counts, recent.counts
    if min(before.sum(), now.sum()) < LEAST or len(reference.top) < 2 * N_LEADERS:
        return None
    rng = np.random.default_rng(seed)
    led = set(list(reference.top)[:N_LEADERS])
    found = len(led - set(list(recent.top)[:N_LEADERS])) / N_LEADERS
    shares = before / before.sum()
    sizes = [max(1, int(counts.sum() / design_effect)) for counts in (before, now)]
    by_chance = np.empty(N_DRAWS)
    for draw in range(N_DRAWS):
        first, second = (_leaders(rng.multinomial(n, shares)) for n in sizes)
        by_chance[draw] = len(np.setdiff1d(first, second)) / N_LEADERS
    expected = float(by_chance.mean())
    noise = max(float(by_chance.std(ddof=1)), 1 / N_LEADERS)
    return Spread(expected, found, float(ndtr(-(found - expected) / noise)))


def _thinned(counts: Counts, n: int, rng: np.random.Generator) -> Counts:
    kept = counts if counts.sum() == n else rng.multivariate_hypergeometric(counts, n, method="marginals")
    return kept[kept > 0]


def _drawn(counts: Counts, n: int, rng: np.random.Generator) -> Counts:
    drawn = rng.multinomial(n, counts / counts.sum())
    return drawn[drawn > 0]


def _leaders(counts: Counts) -> Counts:
    return np.argsort(-counts, kind="stable")[:N_LEADERS]
