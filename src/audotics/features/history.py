"""What a listener's history says of each candidate: how often and how lately it was played."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.corpus import Corpus
from audotics.data.interactions import FIRST_TIME, Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.domain import PADDING, FloatArray, IndexArray, TimeArray
from audotics.errors import NotFittedError
from audotics.features.catalogue import album_keys, artist_keys, has_shared, owner_codes, release_times

_US_PER_HOUR = 3_600_000_000
_US_PER_DAY = 24 * _US_PER_HOUR
_YEAR_HOURS = 8760.0
_LONG_HISTORY = 1000.0
_OLD_DAYS = 3650.0


class HistoryStatistics:
    """Play statistics of candidates, all of order one and without a fitted weight.

    For track, artist and album (the last two where some artist or album has several tracks):

    - ``plays``: ``ln(1 + plays)`` by the listener; ``share``: its part of all plays of the history;
    - ``tracks`` (artist and album): its part of the tracks of the history;
    - ``order`` (data with order): ``1 - ln(1 + n) / ln(1001)``, with ``n`` tracks heard since, at least 0;
    - ``recency`` (data with times): ``1 - ln(1 + h) / ln(8761)``, with ``h`` hours since, at least 0.

    All are 0 where the listener never played it. For the track alone ``popularity`` (log of its listeners,
    the most popular track has 1), ``cold`` and, where release dates are known, ``age`` (``ln(1 + days) /
    ln(3651)``) and ``release_known``. For the listener ``history_length``. Which of them exist is decided
    by `fit` alone, so that training and serving agree.
    """

    def __init__(self) -> None:
        self._owners: dict[str, IndexArray] = {}
        self._popularity: FloatArray | None = None
        self._released_at: TimeArray = np.zeros(0, np.int64)
        self._latest_at = NO_TIME
        self._ordered = self._timed = self._dated = False

    def fit(self, corpus: Corpus) -> Self:
        """Bake popularity, owners and release dates into one array each ``[n_tracks]``."""
        listeners = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks)
        top = np.log1p(max(1, listeners.max(initial=0)))
        self._popularity = (np.log1p(listeners) / top).astype(np.float32)
        table = corpus.track_table
        owners = {"artist": owner_codes(artist_keys(table)), "album": owner_codes(album_keys(table))}
        self._owners = {name: codes for name, codes in owners.items() if has_shared(codes)}
        self._released_at = release_times(table)
        self._ordered = corpus.interactions.ordered
        self._timed = corpus.timed and self._ordered
        has_times = self._timed and corpus.interactions.n_pairs > 0
        newest = corpus.interactions.last_at if has_times else self._released_at
        self._latest_at = int(newest.max(initial=NO_TIME))
        self._dated = bool((self._released_at != NO_TIME).any())
        return self

    def extended(self, rows: pl.DataFrame, owners: Mapping[str, IndexArray]) -> HistoryStatistics:
        """The same with further tracks, which nobody has played, behind the known ones.

        Args:
            rows: ``[n_more]`` tracks (``schema.TRACKS``).
            owners: By ``artist`` and ``album`` the number of each track's ``[n_more]``, see `Owners`.
        """
        other = copy.copy(self)
        unheard = np.zeros(rows.height, np.float32)
        other._popularity = np.concatenate([self._fitted(), unheard])
        other._owners = {name: np.concatenate([codes, owners[name]]) for name, codes in self._owners.items()}
        other._released_at = np.concatenate([self._released_at, release_times(rows)])
        return other

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ``n`` features, in order."""
        levels = [f"{level}_{kind}" for level in ("track", *self._owners) for kind in self._kinds(level)]
        release = ("age", "release_known") if self._dated else ()
        return (*levels, "history_length", "popularity", "cold", *release)

    def compute(self, batch: QueryBatch, track_index: IndexArray) -> FloatArray:
        """Features of every candidate ``[batch, width, n]``, 0 where padded.

        Args:
            batch: The queries with their histories.
            track_index: ``[batch, width]`` candidates, padded with -1.
        """
        popularity = self._fitted()
        present = track_index != PADDING
        safe = np.where(present, track_index, 0)
        asked_at = self._asked_at(batch)
        # One feature after another in memory: each is made for all candidates at once.
        out = np.empty((len(track_index), len(self.names), track_index.shape[1]), dtype=np.float32)
        column = 0
        freshness = self._freshness(batch.histories, asked_at)
        for level in ("track", *self._owners):
            width = len(self._kinds(level))
            self._level(level, batch.histories, freshness, track_index, out[:, column : column + width])
            column += width
        out[:, column] = _log_scaled(batch.histories.lengths, _LONG_HISTORY)[:, None]
        popularity.take(safe, out=out[:, column + 1])
        out[:, column + 2] = out[:, column + 1] == 0
        if self._dated:
            out[:, column + 3 :] = self._age(asked_at, safe)
        np.copyto(out, 0.0, where=~present[:, None])
        return out.swapaxes(1, 2)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The learned state as plain arrays."""
        return {
            "popularity": self._fitted(),
            "released_at": self._released_at,
            "latest_at": np.array(self._latest_at),
            "has": np.array([self._ordered, self._timed, self._dated]),
            **{f"{name}_code": codes for name, codes in self._owners.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Fitted again from what `arrays` gave."""
        statistics = cls()
        statistics._popularity = np.asarray(arrays["popularity"])
        statistics._released_at = np.asarray(arrays["released_at"])
        statistics._latest_at = int(arrays["latest_at"])
        statistics._ordered, statistics._timed, statistics._dated = arrays["has"].tolist()
        present = [name for name in ("artist", "album") if f"{name}_code" in arrays]
        statistics._owners = {name: np.asarray(arrays[f"{name}_code"]) for name in present}
        return statistics

    def _fitted(self) -> FloatArray:
        if self._popularity is None:
            raise NotFittedError("HistoryStatistics")
        return self._popularity

    def _kinds(self, level: str) -> tuple[str, ...]:
        owned = () if level == "track" else ("tracks",)
        order = ("order",) if self._ordered else ()
        return ("plays", "share", *owned, *order, *(("recency",) if self._timed else ()))

    def _asked_at(self, batch: QueryBatch) -> TimeArray:
        """Time of each query ``[batch]``; where unknown, the end of what is known of it and of training."""
        newest = _newest(batch.histories)
        known = np.maximum(np.where(newest >= FIRST_TIME, newest, NO_TIME), self._latest_at)
        return np.where(batch.at == NO_TIME, known, batch.at)

    def _freshness(self, histories: Interactions, asked_at: TimeArray) -> list[FloatArray]:
        """The freshness features of each pair of the histories, ``[n_pairs]`` each."""
        if not self._ordered:
            return []
        rows = histories.row_index
        since = histories.tracks_since
        order = _fresh(since, _LONG_HISTORY) if histories.ordered else np.zeros(len(since), np.float32)
        if not self._timed:
            return [order]
        hours = (asked_at[rows] - histories.last_at) / _US_PER_HOUR
        # A raw history has an order but no times: its order is the best guess of how long ago.
        has_times = _newest(histories)[rows] >= FIRST_TIME
        return [order, np.where(has_times, _fresh(hours, _YEAR_HOURS), order)]

    def _level(
        self,
        level: str,
        histories: Interactions,
        freshness: list[FloatArray],
        track_index: IndexArray,
        out: FloatArray,
    ) -> None:
        """Write ``[batch, n_kinds, width]`` of the candidates' owners (at level track: of themselves)."""
        codes = self._owners.get(level)
        heard, wanted, n_codes = histories.track_index, track_index.astype(np.int64), histories.n_tracks
        if codes is not None:
            heard = codes[heard]
            wanted = np.where(wanted >= 0, codes[wanted], PADDING)
        rows = histories.row_index
        pairs = np.flatnonzero(heard >= 0)
        order = pairs[np.argsort(rows[pairs].astype(np.int64) * n_codes + heard[pairs], kind="stable")]
        sorted_keys = rows[order].astype(np.int64) * n_codes + heard[order]
        first = np.flatnonzero(np.diff(sorted_keys, prepend=-1))
        plays = np.add.reduceat(histories.plays[order], first) if len(first) else np.zeros(0, np.float32)
        row = rows[order][first]
        total = np.maximum(np.bincount(rows, weights=histories.plays), np.finfo(np.float32).tiny)
        columns = [np.log1p(plays), plays / total[row]]
        if level != "track":
            columns.append(np.diff(first, append=len(order)) / histories.lengths[row])
        columns.extend(np.maximum.reduceat(f[order], first) if len(first) else plays for f in freshness)
        places = _look_up(sorted_keys[first], wanted, n_codes)
        for number, column in enumerate(columns):
            np.append(column, 0.0).astype(np.float32).take(places, out=out[:, number])

    def _age(self, asked_at: TimeArray, safe: IndexArray) -> FloatArray:
        """Age and whether it is known ``[batch, 2, width]``."""
        released = self._released_at[safe]
        known = released != NO_TIME
        days = np.where(known, asked_at[:, None] - np.where(known, released, 0), 0) / _US_PER_DAY
        return np.stack([_log_scaled(days, _OLD_DAYS), known.astype(np.float32)], axis=1)


def _look_up(keys: TimeArray, wanted: TimeArray, n_codes: int) -> TimeArray:
    """Place in ``keys [n]`` of each query's ``wanted [batch, width]`` codes, n where there is none.

    ``keys`` are ascending, ``query * n_codes + code``; a wanted code of -1 means none.
    """
    nothing = np.iinfo(np.int64).max
    keys = np.append(keys, nothing)
    sought = np.where(wanted >= 0, np.arange(len(wanted))[:, None] * n_codes + wanted, nothing)
    place = np.searchsorted(keys, sought)
    return np.where(keys[place] == sought, place, len(keys) - 1)


def _newest(histories: Interactions) -> TimeArray:
    """``last_at`` of each row's last pair ``[n_rows]``, 0 for empty rows."""
    if not histories.n_pairs:
        return np.zeros(histories.n_rows, np.int64)
    return np.where(histories.lengths > 0, histories.last_at[histories.indptr[1:] - 1], 0)


def _log_scaled(values: npt.NDArray[Any], unit: float) -> FloatArray:
    """``ln(1 + values) / ln(1 + unit)`` of values taken as at least 0."""
    scaled: FloatArray = (np.log1p(np.maximum(values, 0)) / np.log1p(unit)).astype(np.float32)
    return scaled


def _fresh(since: npt.NDArray[Any], horizon: float) -> FloatArray:
    return np.maximum(1 - _log_scaled(since, horizon), 0)
