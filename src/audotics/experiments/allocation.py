"""Which buckets an arm has: shares grow and shrink, and nobody changes arms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from audotics.errors import RefusedError
from audotics.experiments.arms import N_BUCKETS, Interval

Buckets = Mapping[str, tuple[Interval, ...]]
"""Intervals of buckets by arm."""

_Mask = npt.NDArray[np.bool_]


def with_shares(had: Buckets, left: Buckets, shares: Mapping[str, int]) -> tuple[Buckets, Buckets]:
    """Buckets of every arm after its share changed.

    An arm that grows takes back first what it once gave up, then the lowest buckets that nobody ever had.
    One that shrinks gives up its highest ones. What an arm gave up no other arm may have: listeners who come
    back would bring what they heard in one arm into another.

    Args:
        had: What each arm has now; empty at the start.
        left: What each arm gave up earlier.
        shares: How many buckets each arm shall have; arms that are not named keep what they have.

    Returns:
        What each arm has now, and has given up.

    Raises:
        RefusedError: There are not enough buckets that nobody ever had.
    """
    arms = dict.fromkeys((*had, *left, *shares))
    has = {arm: _mask(had.get(arm, ())) for arm in arms}
    gave = {arm: _mask(left.get(arm, ())) for arm in arms}
    fresh = ~np.logical_or.reduce([*has.values(), *gave.values()])
    for arm, share in shares.items():
        surplus = np.flatnonzero(has[arm])[share:]
        has[arm][surplus], gave[arm][surplus] = False, True
    for arm, share in shares.items():
        for source in (gave[arm], fresh):
            more = np.flatnonzero(source)[: share - int(has[arm].sum())]
            has[arm][more], source[more] = True, False
        missing = share - int(has[arm].sum())
        if missing:
            raise RefusedError(
                f"arm {arm!r} cannot grow to {share}: {missing} of its buckets would be of listeners who were"
                " in another arm",
                remedy="Stop the experiment and begin a new one under another name",
            )
    return _as_intervals(has), _as_intervals(gave)


def _mask(intervals: tuple[Interval, ...]) -> _Mask:
    mask = np.zeros(N_BUCKETS, np.bool_)
    for start, stop in intervals:
        mask[start:stop] = True
    return mask


def _as_intervals(masks: Mapping[str, _Mask]) -> Buckets:
    found = {}
    for arm, mask in masks.items():
        edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
        found[arm] = tuple(zip(edges[::2], edges[1::2], strict=True))
    return found
