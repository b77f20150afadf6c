"""Peer: what another library's recommender must do to stand beside ours, and nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, IndexArray
from audotics.retrieval.protocol import SearchSpace

Settings: TypeAlias = Mapping[str, Any]
"""Hyper-parameters of one peer by name; values that JSON can hold."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What every system gets the same of.

    Args:
        threads: How many threads a library may compute with.
        seed: Seed of everything random.
    """

    threads: int
    seed: int


class Peer(Protocol):
    """A recommender of another library, fitted on who heard what how often.

    A class of this protocol is built as ``Class(settings, resources)``, with every name of ``defaults``
    in ``settings``. Constructing imports the library, so that the time of `fit` is the fit's alone.
    """

    defaults: ClassVar[Settings]
    """Sound settings, always tried first."""
    space: ClassVar[SearchSpace]
    """Where tuning looks; empty where there is nothing to tune."""

    def __init__(self, settings: Settings, resources: Resources) -> None: ...

    def fit(self, histories: Interactions) -> Self:
        """Learn from the histories ``[n_users, n_tracks]`` of all listeners; forgets an earlier fit."""
        ...

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """Best tracks of known listeners ``[len(user_index), k]``, best first, padded with -1.

        Args:
            user_index: Rows of the histories that `fit` saw.
            k: Most tracks per listener.
            include_heard: Whether tracks of the listener's history may be in the list.
        """
        ...


def padded(lists: IndexArray, k: int) -> IndexArray:
    """Lists ``[batch, any]`` cut or padded with -1 to ``[batch, k]``."""
    missing = k - lists.shape[1]
    if missing <= 0:
        return lists[:, :k].astype(np.int32)
    return np.pad(lists, ((0, 0), (0, missing)), constant_values=PADDING).astype(np.int32)
