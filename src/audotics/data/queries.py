"""QueryBatch: many queries in index space, the form that retrievers, features and rankers read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.data.interactions import Interactions
from audotics.domain import IndexArray, TimeArray

NO_TIME = int(np.iinfo(np.int64).min)
"""Value of `QueryBatch.at` where the time of the request is not known."""


@dataclass(frozen=True, slots=True)
class QueryBatch:
    """Queries answered together.

    Args:
        histories: ``batch`` rows, what each listener had heard when asking.
        user_index: ``[batch]``, -1 for listeners training never saw.
        at: ``[batch]``, time of the request in UTC microseconds, `NO_TIME` if unknown.
        device: ``[batch]``, None if unknown.
        country: ``[batch]``, None if unknown.
    """

    histories: Interactions
    user_index: IndexArray
    at: TimeArray
    device: tuple[str | None, ...]
    country: tuple[str | None, ...]

    @property
    def size(self) -> int:
        """How many queries."""
        return len(self.user_index)

    def part(self, start: int, stop: int) -> QueryBatch:
        """Queries ``start`` to ``stop``, for working block by block in bounded memory."""
        if start == 0 and stop >= self.size:
            return self
        return self.take(np.arange(start, min(stop, self.size)))

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> QueryBatch:
        """The given queries in the given order, repeats allowed."""
        return QueryBatch(
            self.histories.rows(rows),
            self.user_index[rows],
            self.at[rows],
            tuple(self.device[row] for row in rows.tolist()),
            tuple(self.country[row] for row in rows.tolist()),
        )

    @classmethod
    def of_listeners(cls, interactions: Interactions, user_index: IndexArray) -> QueryBatch:
        """Known listeners with the histories that training has of them, at no particular time."""
        nothing = (None,) * len(user_index)
        return cls(
            interactions.rows(user_index),
            user_index,
            np.full(len(user_index), NO_TIME, np.int64),
            nothing,
            nothing,
        )
