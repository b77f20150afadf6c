"""Context of a request as numbers: time of day and week, device and country."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.queries import NO_TIME
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, FloatArray, TimeArray
from audotics.errors import NotFittedError

_US_PER_HOUR = 3_600_000_000
_US_PER_DAY = 24 * _US_PER_HOUR
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""

_TIME_NAMES = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "time_known")


class ContextEncoder:
    """Turns time, device and country into ``n_context`` columns of order one.

    Hour (with its fraction) and weekday, both UTC, lie on circles, so that 23:59 and 00:00 are
    neighbours. Devices and countries are one-hot over the most frequent values of training; the
    others share a column, which exists only where training had others: a column that was always
    0 would carry an untrained weight into serving. What is not known is 0 everywhere.

    Args:
        n_devices: How many devices have a column of their own.
        n_countries: How many countries have a column of their own.
    """

    def __init__(self, n_devices: int = 8, n_countries: int = 32) -> None:
        self.n_devices = n_devices
        self.n_countries = n_countries
        self._timed: bool | None = None
        self._devices = _OneHot("device")
        self._countries = _OneHot("country")

    def fit(self, events: pl.DataFrame) -> Self:
        """Learn which of the columns timestamp, device and country say anything, and their values."""
        stamps = events.get_column("timestamp", default=None)
        self._timed = stamps is not None and stamps.null_count() < events.height
        self._devices = _OneHot.of("device", events, self.n_devices)
        self._countries = _OneHot.of("country", events, self.n_countries)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ``n_context`` columns; none where training knew no context."""
        if self._timed is None:
            raise NotFittedError("ContextEncoder")
        return (*(_TIME_NAMES if self._timed else ()), *self._devices.names, *self._countries.names)

    def encode(
        self, at: TimeArray, device: Sequence[str | None], country: Sequence[str | None]
    ) -> FloatArray:
        """Encode a batch of requests as ``[batch, n_context]``.

        Args:
            at: ``[batch]``, UTC microseconds, `NO_TIME` where unknown.
            device: ``[batch]``, None where unknown.
            country: ``[batch]``, None where unknown.
        """
        if self._timed is None:
            raise NotFittedError("ContextEncoder")
        time = encode_time(at) if self._timed else np.zeros((len(at), 0), np.float32)
        return np.concatenate([time, self._devices.encode(device), self._countries.encode(country)], axis=1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The learned state as plain arrays."""
        if self._timed is None:
            raise NotFittedError("ContextEncoder")
        return {
            "timed": np.array(self._timed),
            "limits": np.array([self.n_devices, self.n_countries]),
            "devices": np.array(self._devices.values.ids, dtype=np.str_),
            "countries": np.array(self._countries.values.ids, dtype=np.str_),
            "others": np.array([self._devices.has_other, self._countries.has_other]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Fitted again from what `arrays` gave."""
        n_devices, n_countries = arrays["limits"].tolist()
        others = arrays["others"].tolist()
        encoder = cls(n_devices, n_countries)
        encoder._timed = bool(arrays["timed"])
        encoder._devices = _OneHot("device", arrays["devices"].tolist(), others[0])
        encoder._countries = _OneHot("country", arrays["countries"].tolist(), others[1])
        return encoder


def encode_time(at: TimeArray) -> FloatArray:
    """Hour and weekday as sine and cosine, and whether the time is known ``[batch, 5]``.

    Args:
        at: ``[batch]``, UTC microseconds, `NO_TIME` where unknown (all columns 0).
    """
    known = at != NO_TIME
    if not known.any():
        return np.zeros((len(at), len(_TIME_NAMES)), np.float32)
    safe = np.where(known, at, 0)
    hour = (safe % _US_PER_DAY) / _US_PER_DAY * (2 * np.pi)
    weekday = (safe // _US_PER_DAY + _EPOCH_WEEKDAY) % 7 / 7 * (2 * np.pi)
    columns = [np.sin(hour), np.cos(hour), np.sin(weekday), np.cos(weekday), np.ones(len(at))]
    encoded: FloatArray = (np.stack(columns, axis=1) * known[:, None]).astype(np.float32)
    return encoded


class _OneHot:
    """One column per value, in order of frequency, then perhaps one for all others."""

    def __init__(self, column: str, values: Sequence[str] = (), has_other: bool = False) -> None:
        self.column = column
        self.values = Vocabulary(values)
        self.has_other = has_other

    @classmethod
    def of(cls, column: str, events: pl.DataFrame, limit: int) -> _OneHot:
        if column not in events.columns:
            return cls(column)
        counts = (
            events.select(pl.col(column).cast(pl.String).alias("value"))
            .drop_nulls()
            .group_by("value")
            .len()
            .sort("len", "value", descending=[True, False])
        )
        return cls(column, counts["value"].head(limit).to_list(), counts.height > limit)

    @property
    def names(self) -> tuple[str, ...]:
        own = tuple(f"{self.column}={value}" for value in self.values.ids)
        return (*own, f"{self.column}=other") if self.has_other else own

    def encode(self, values: Sequence[str | None]) -> FloatArray:
        """``[len(values), n_columns]``, a row of zeros where nothing is known."""
        places = np.fromiter((self._place(value) for value in values), np.int32, len(values))
        encoded = np.zeros((len(values), len(self.names)), dtype=np.float32)
        rows = np.flatnonzero(places != PADDING)
        encoded[rows, places[rows]] = 1.0
        return encoded

    def _place(self, value: str | None) -> int:
        place = self.values.index(value)
        return len(self.values) if place == PADDING and value is not None and self.has_other else place
