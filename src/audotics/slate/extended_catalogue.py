"""A catalogue with further tracks behind those of another, of which nothing is read twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import polars as pl

from audotics.domain import IndexArray
from audotics.features.catalogue import text_column
from audotics.slate.catalogue import SlateCatalogue, TrackVectors


class ExtendedCatalogue(SlateCatalogue):
    """Known tracks and further ones, which nobody has played.

    Args:
        base: Of the known tracks.
        track_table: Of all tracks, the known ones first.
        owners: By ``artist`` and ``album`` the number of each further track's ``[n_more]``, see `Owners`.
        vectors: Makes the vectors of all tracks when a rule needs them.
    """

    def __init__(
        self,
        base: SlateCatalogue,
        track_table: pl.DataFrame,
        owners: Mapping[str, IndexArray],
        vectors: Callable[[], TrackVectors],
    ) -> None:
        more = track_table[base.n_tracks :]
        super().__init__(
            track_table, np.concatenate([base.listeners, np.zeros(more.height, np.int32)]), vectors
        )
        self._base = base
        self._more = more
        self._owners = owners

    def get_ready(self) -> None:
        """Make what the base has made: whoever asks next need not wait."""
        for name in ("recording", "explicit", "sound", "_vectors"):
            if name in self._base.__dict__:
                getattr(self, name)

    @cached_property
    def artist(self) -> IndexArray:
        """See `SlateCatalogue`."""
        return np.concatenate([self._base.artist, self._owners["artist"]])

    @cached_property
    def album(self) -> IndexArray:
        """See `SlateCatalogue`."""
        return np.concatenate([self._base.album, self._owners["album"]])

    def _by_artist(self, artist: str) -> IndexArray:
        known = self._base._by_artist(artist)
        ids, names = self._more_by_artist
        own = ids.get(artist, names.get(artist.strip().lower(), ()))
        codes = np.union1d(self._base.artist[known], np.array(own, np.int32))
        if own:
            # An artist may go by a name that the known tracks do not have.
            known = np.flatnonzero(np.isin(self._base.artist, codes)).astype(np.int32)
        more = np.flatnonzero(np.isin(self._owners["artist"], codes)) + self._base.n_tracks
        return np.concatenate([known, more]).astype(np.int32)

    @cached_property
    def _more_by_artist(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Artists of the further tracks by id, and by lower-case name."""
        codes = pl.Series("code", self._owners["artist"])
        found = []
        for keys in (
            text_column(self._more, "artist_id"),
            text_column(self._more, "artist").str.to_lowercase(),
        ):
            named = pl.DataFrame({"key": keys, "code": codes}).drop_nulls().unique()
            grouped = named.group_by("key").agg(pl.col("code").sort())
            found.append({key: tuple(of_key) for key, of_key in grouped.iter_rows()})
        return found[0], found[1]
