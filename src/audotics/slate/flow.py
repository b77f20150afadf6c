"""Flow: the chosen tracks in an order that moves tempo, energy and key smoothly, for playlists and radio."""

from __future__ import annotations

import numpy as np

from audotics.domain import PADDING, FloatArray, IndexArray
from audotics.slate.sound import Sound

_LEAST_GAIN = 1e-5


def flowing(track_index: IndexArray, sound: Sound) -> IndexArray:
    """An order of each slate whose steps are small; the best track stays first.

    Nearest neighbour, then 2-opt: the turn of a stretch that shortens the way most, until none does
    (Croes, *A Method for Solving Traveling-Salesman Problems*, Operations Research 1958).

    Args:
        track_index: ``[batch, k]``, best first, padded with -1 at the end.
        sound: Sound of all tracks.

    Returns:
        ``[batch, k]`` places in ``track_index``: which track comes first, second and so on.
    """
    steps = sound.distances(track_index)
    lengths = (track_index != PADDING).sum(axis=1)
    return _two_opt(_nearest_neighbours(steps, lengths), steps, lengths)


def way_lengths(order: IndexArray, steps: FloatArray, lengths: IndexArray) -> FloatArray:
    """Sum of the steps of each slate in an order ``[batch]``."""
    rows = np.arange(len(order))[:, None]
    taken = steps[rows, order[:, :-1], order[:, 1:]]
    inside = np.arange(1, order.shape[1]) < lengths[:, None]
    total: FloatArray = (taken * inside).sum(axis=1)
    return total


def _nearest_neighbours(steps: FloatArray, lengths: IndexArray) -> IndexArray:
    batch, k, _ = steps.shape
    rows = np.arange(batch)
    order = np.zeros((batch, k), dtype=np.int32)
    # What is padded comes last, in its own order: it is farther than anything else.
    far = np.where(np.arange(k) < lengths[:, None], 0.0, 1e3).astype(np.float32)
    far[:, 0] = np.inf
    for place in range(1, k):
        here = order[:, place - 1]
        order[:, place] = (steps[rows, here] + far).argmin(axis=1)
        far[rows, order[:, place]] = np.inf
    return order


def _two_opt(order: IndexArray, steps: FloatArray, lengths: IndexArray) -> IndexArray:
    k = order.shape[1]
    places = np.arange(k)
    active = np.flatnonzero(lengths > 2)
    # Each turn makes a way shorter, so this ends; the bound only guards against rounding.
    for _ in range(k * k):
        if not len(active):
            break
        gains = _gains(order[active], steps[active], lengths[active])
        best = gains.reshape(len(active), -1).argmax(axis=1)
        improves = gains.reshape(len(active), -1)[np.arange(len(active)), best] > _LEAST_GAIN
        active, best = active[improves], best[improves]
        start, stop = (best // k)[:, None], (best % k)[:, None]
        inside = (places >= start) & (places <= stop)
        turned = np.where(inside, start + stop - places, places)
        order[active] = np.take_along_axis(order[active], turned, axis=1)
    return order


def _gains(order: IndexArray, steps: FloatArray, lengths: IndexArray) -> FloatArray:
    """How much shorter each way gets if the stretch from ``i`` to ``j`` is turned ``[batch, k, k]``."""
    batch, k = order.shape
    rows = np.arange(batch)[:, None, None]
    walked = steps[rows, order[:, :, None], order[:, None, :]]
    places = np.arange(k)
    before = np.maximum(places - 1, 0)
    after = np.minimum(places + 1, k - 1)
    has_next = (places + 1 < lengths[:, None])[:, None, :]
    left = walked[:, before, places][:, :, None] - walked[:, before, :]
    right = np.where(has_next, walked[:, places, after][:, None, :] - walked[:, :, after], 0.0)
    valid = (places[:, None] >= 1) & (places[None, :] > places[:, None])
    valid = valid[None] & (places < lengths[:, None])[:, None, :]
    gains: FloatArray = np.where(valid, left + right, -np.inf)
    return gains
