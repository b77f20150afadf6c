"""What rules know of tracks, as arrays in index order, each made when a rule first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from scipy import sparse

from audotics.domain import BoolArray, FloatArray, IndexArray
from audotics.errors import BadInputError
from audotics.features.catalogue import album_keys, artist_keys, owner_codes, text_column
from audotics.slate.recordings import recording_codes
from audotics.slate.sound import Sound


@dataclass(frozen=True, slots=True)
class TrackVectors:
    """What tracks are like, for diversity and calibration.

    Args:
        content: ``[n_tracks, n_terms]``, rows of length 1 or empty; or dense factors
            ``[n_tracks, n_factors]`` where the catalogue says nothing of its tracks.
        genres: ``[n_tracks, n_genres]``, each row a distribution (sums to 1) or empty.
    """

    content: sparse.csr_matrix | FloatArray
    genres: sparse.csr_matrix


class SlateCatalogue:
    """Owners, recordings, explicit marks, sound and vectors of all tracks.

    Args:
        track_table: The tracks table (``schema.TRACKS``), one row per track in index order.
        listeners: ``[n_tracks]``: how many listeners of the training data played each track.
        vectors: Makes the vectors when a rule needs them.
    """

    def __init__(
        self, track_table: pl.DataFrame, listeners: IndexArray, vectors: Callable[[], TrackVectors]
    ) -> None:
        self._table = track_table
        self._make_vectors = vectors
        self.listeners = listeners

    @property
    def n_tracks(self) -> int:
        """How many tracks."""
        return self._table.height

    @cached_property
    def artist(self) -> IndexArray:
        """Number of each track's artist ``[n_tracks]``, -1 where unknown."""
        return owner_codes(artist_keys(self._table))

    @cached_property
    def album(self) -> IndexArray:
        """Number of each track's album ``[n_tracks]``, -1 where unknown."""
        return owner_codes(album_keys(self._table))

    @cached_property
    def recording(self) -> IndexArray:
        """Number of each track's recording ``[n_tracks]``, -1 where unknown."""
        return recording_codes(self._table)

    @cached_property
    def explicit(self) -> IndexArray:
        """Indices of the tracks that are marked as explicit; a track without a mark is not."""
        if "explicit" not in self._table.columns:
            return np.zeros(0, np.int32)
        marked: BoolArray = self._table["explicit"].fill_null(value=False).to_numpy()
        return np.flatnonzero(marked).astype(np.int32)

    @cached_property
    def sound(self) -> Sound:
        """Tempo, energy and key of each track."""
        return Sound.of(self._table)

    @cached_property
    def content(self) -> sparse.csr_matrix | FloatArray:
        """Vectors whose products say how alike two tracks are.

        Raises:
            BadInputError: Neither catalogue nor retrievers describe the tracks.
        """
        content = self._vectors.content
        if content.shape[1] == 0:
            raise BadInputError(
                "nothing says which tracks are alike",
                where="rule diversity",
                remedy="Train with a catalogue or with the retriever ials, or set diversity to 0",
            )
        return content

    @cached_property
    def genres(self) -> sparse.csr_matrix:
        """Each track's distribution over genres ``[n_tracks, n_genres]``.

        Raises:
            BadInputError: The catalogue has neither genres nor tags.
        """
        genres = self._vectors.genres
        if genres.shape[1] == 0:
            raise BadInputError(
                "the catalogue has neither genres nor tags",
                where="rule calibration",
                remedy="Import tracks with genres, or set calibration to 0",
            )
        return genres

    def tracks_by(self, artists: Sequence[str]) -> list[IndexArray]:
        """Tracks of each artist, given by id or else by name (case ignored); empty if unknown."""
        return [self._by_artist(artist) for artist in artists]

    def _by_artist(self, artist: str) -> IndexArray:
        codes, order, starts = self._artist_lookup
        nothing = np.zeros(0, np.int32)
        found = codes.get(artist, codes.get(artist.strip().lower(), nothing))
        parts = [order[starts[code] : starts[code + 1]] for code in found.tolist()]
        return np.sort(np.concatenate(parts)).astype(np.int32) if parts else np.zeros(0, np.int32)

    @cached_property
    def _artist_lookup(self) -> tuple[dict[str, IndexArray], IndexArray, IndexArray]:
        """Artists by id and by lower-case name; tracks in artist order; where each artist starts."""
        frame = pl.DataFrame(
            {
                "code": self.artist,
                "id": text_column(self._table, "artist_id"),
                "name": text_column(self._table, "artist").str.to_lowercase(),
            }
        ).filter(pl.col("code") >= 0)
        lookup: dict[str, IndexArray] = {}
        # Ids come last: where an id is another artist's name, the id counts.
        for column in ("name", "id"):
            named = frame.drop_nulls(column).group_by(column).agg(pl.col("code").unique().sort())
            lookup |= {key: np.array(codes, np.int32) for key, codes in named.iter_rows()}
        order = np.argsort(self.artist, kind="stable").astype(np.int32)
        n_artists = int(self.artist.max(initial=-1)) + 1
        starts = np.searchsorted(self.artist[order], np.arange(n_artists + 1)).astype(np.int32)
        return lookup, order, starts

    @cached_property
    def _vectors(self) -> TrackVectors:
        return self._make_vectors()
