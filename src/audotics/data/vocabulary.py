"""Two-way map between ids of the outside world and the numbers that arrays use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from audotics.domain import PADDING, IndexArray


class Vocabulary:
    """An immutable, ordered set of ids; the index of an id is its place.

    Args:
        ids: Distinct ids. Their order is kept.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids: tuple[str, ...] = tuple(ids)
        self._index = {key: place for place, key in enumerate(self.ids)}
        if len(self._index) != len(self.ids):
            raise ValueError("ids of a vocabulary must be distinct")

    @classmethod
    def sorted(cls, *columns: pl.Series) -> Vocabulary:
        """The distinct non-null ids of all columns, in a fixed order that says nothing about the data."""
        merged = pl.concat([column.cast(pl.String) for column in columns])
        return cls(merged.drop_nulls().unique().sort().to_list())

    def extended(self, ids: Sequence[str]) -> Vocabulary:
        """The same ids with further ones behind them."""
        other = Vocabulary(())
        other.ids = (*self.ids, *ids)
        other._index = self._index | {key: place for place, key in enumerate(ids, start=len(self.ids))}
        if len(other._index) != len(other.ids):
            raise ValueError("ids of a vocabulary must be distinct")
        return other

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def index(self, key: str | None) -> int:
        """Index of one id, -1 if unknown."""
        return PADDING if key is None else self._index.get(key, PADDING)

    def indices(self, keys: Sequence[str]) -> IndexArray:
        """Indices of many ids ``[len(keys)]``, -1 where unknown."""
        return np.fromiter((self.index(key) for key in keys), dtype=np.int32, count=len(keys))

    def encode(self, column: pl.Series) -> IndexArray:
        """Indices of a whole column ``[len(column)]``, -1 where unknown or null (vectorised)."""
        table = pl.DataFrame(
            {"id": self.ids, "place": np.arange(len(self.ids), dtype=np.int32)},
            schema={"id": pl.String, "place": pl.Int32},
        )
        found = column.cast(pl.String).to_frame("id").join(table, on="id", how="left", maintain_order="left")
        return found["place"].fill_null(PADDING).to_numpy()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the ids in order; arrays trained together name the same one."""
        digest = hashlib.sha256()
        for key in self.ids:
            encoded = key.encode()
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.hexdigest()
