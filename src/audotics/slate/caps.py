"""Caps: at most so many tracks of one artist, of one album, and one of each recording."""

from __future__ import annotations

import numpy as np

from audotics.domain import PADDING, BoolArray, IndexArray


class Cap:
    """At most ``most`` tracks with the same owner; tracks of no known owner are not limited.

    Args:
        name: What the rule is called in the statistics.
        owners: ``[batch, width]``: number of each candidate's owner, -1 where unknown.
        most: The cap.
    """

    def __init__(self, name: str, owners: IndexArray, most: int) -> None:
        self._name = name
        self._owners = owners
        self._most = most
        self._taken = np.zeros(owners.shape, np.int32)

    @property
    def name(self) -> str:
        """Which cap this is."""
        return self._name

    def forbidden(self) -> BoolArray:
        """``[batch, width]``: True where the owner has as many tracks as it may."""
        full: BoolArray = self._taken >= self._most
        return full

    def take(self, slots: IndexArray) -> None:
        """Count one more track for the owner of each request's candidate."""
        owner = self._owners[np.arange(len(slots)), slots][:, None]
        self._taken += (self._owners == owner) & (owner != PADDING)
