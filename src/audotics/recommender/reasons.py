"""One honest phrase per recommended track, from what its strongest retriever says raised it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.domain import PADDING, BoolArray, IndexArray, TimeArray
from audotics.features.catalogue import artist_keys, owner_codes, release_times, text_column
from audotics.recommender.live_reasons import LiveReasons
from audotics.retrieval.protocol import Evidence, Explanation, Retriever
from audotics.slate.catalogue import SlateCatalogue

DRAWN = "something different to try"
"""Why exploration shows a track: nothing raised its score."""

CO_LISTENING = frozenset({"item-knn", "rp3beta"})
"""Retrievers that raise a track only where listeners of the cause have played it, too."""

RECENT_DAYS = 90
"""A track is called new for so long after its release."""

_US_PER_DAY = 86_400_000_000


class Explainer:
    """Turns retrievers' explanations into phrases.

    Args:
        retrievers: In the order that ``source`` numbers them.
        track_table: Catalogue in index order, for names, artists and release dates.
        listeners: ``[n_tracks]``: how many listeners each track has; None if that is not known.
    """

    def __init__(
        self, retrievers: Sequence[Retriever], track_table: pl.DataFrame, listeners: IndexArray | None = None
    ) -> None:
        self._retrievers = retrievers
        self._table = track_table
        self._listeners = listeners
        self._names = track_names(track_table)
        self._live: LiveReasons | None = None

    def extended(self, rows: pl.DataFrame, catalogue: SlateCatalogue, live: LiveReasons) -> Explainer:
        """The same with live tracks behind the known ones.

        Args:
            rows: ``[n_live]`` of the live tracks.
            catalogue: Of known and live tracks.
            live: Says why these are shown, of whom no retriever knows.
        """
        other = copy.copy(self)
        # What is kept of all tracks is continued: reading it from the whole table again takes longer.
        other.__dict__ |= {
            "_table": pl.concat([self._table, rows]),
            "_listeners": catalogue.listeners,
            "_names": self._names + track_names(rows),
            "_owners": catalogue.artist,
            "_artists": self._artists + text_column(rows, "artist").to_list(),
            "_released_at": np.concatenate([self._released_at, release_times(rows)]),
            "_live": live,
        }
        for name in ("_n_owners", "_newest_release"):
            other.__dict__.pop(name, None)
        return other

    def phrases(self, batch: QueryBatch, track_index: IndexArray, source: IndexArray) -> list[list[str]]:
        """A phrase for each shown track ``[batch][<= k]``; padding is left out."""
        rows, columns = (axis.astype(np.int32) for axis in np.nonzero(track_index != PADDING))
        flat_tracks, flat_sources = track_index[rows, columns], source[rows, columns]
        found: list[Explanation | None] = [None] * len(rows)
        asked = batch if self._live is None else self._live.voices.known_only(batch)
        known = flat_tracks < asked.histories.n_tracks
        for number, retriever in enumerate(self._retrievers):
            mine = np.flatnonzero((flat_sources == number) & known)
            if len(mine):
                explanations = retriever.explain(asked, flat_tracks[mine], rows[mine])
                for place, explanation in zip(mine.tolist(), explanations, strict=True):
                    found[place] = explanation
        if self._live is not None:
            self._live.complete(found, batch, flat_tracks, rows)
        causes = np.array([PADDING if one is None else one.cause for one in found], dtype=np.int32)
        is_new = self._is_new(flat_tracks, batch.at[rows]).tolist()
        artists = self._counted_artists(batch.histories)
        by_played = self._n_by_artist(artists, rows, flat_tracks).tolist()
        by_cause = self._n_by_artist(artists, rows, causes).tolist()
        result: list[list[str]] = [[] for _ in range(batch.size)]
        for place, row in enumerate(rows.tolist()):
            result[row].append(
                self._phrase(
                    found[place],
                    track=int(flat_tracks[place]),
                    retriever=self._retrievers[flat_sources[place]].name,
                    is_listener=bool(batch.user_index[row] >= 0),
                    is_new=is_new[place],
                    n_by_artist=(by_played[place], by_cause[place]),
                )
            )
        return result

    def _phrase(
        self,
        explanation: Explanation | None,
        *,
        track: int,
        retriever: str,
        is_listener: bool,
        is_new: bool,
        n_by_artist: tuple[int, int],
    ) -> str:
        """The phrase for one track.

        Args:
            explanation: What raised it.
            track: Its index.
            retriever: Whose explanation it is.
            is_listener: Whether the history is that of a listener.
            is_new: Whether it came out lately or nobody has played it.
            n_by_artist: Tracks of the history by its artist, and by the cause's artist.
        """
        if explanation is None:
            return "something new to try"
        if explanation.evidence is Evidence.POPULAR:
            return "popular with many listeners"
        if explanation.evidence is Evidence.FRIENDS:
            return "friends of yours play this"
        if explanation.evidence is Evidence.HEARD:
            return "you have played this"
        artist, (n_played, n_cause) = self._artists[track], n_by_artist
        if explanation.evidence is Evidence.TERM:
            if n_played and artist is not None and explanation.term == artist:
                return f"new from {artist}" if is_new else f"more from {artist}"
            return f"more {explanation.term}"
        cause = explanation.cause
        if self._same_artist(track, cause):
            if is_new and artist is not None:
                return f"new from {artist}"
        elif retriever in CO_LISTENING and n_cause > 1 and self._artists[cause] is not None:
            return f"listeners of {self._artists[cause]} play this"
        verb = "because you play" if is_listener else "goes with"
        return f"{verb} {self._names[cause]}"

    def _is_new(self, tracks: IndexArray, at: np.ndarray) -> BoolArray:
        """Whether each track came out at most `RECENT_DAYS` before the request, or nobody has played it.

        A request at no known time is taken to come with the newest release.
        """
        released = self._released_at[tracks]
        asked_at = np.where(at == NO_TIME, self._newest_release, at)
        known = released != NO_TIME
        age = np.where(known, asked_at - np.where(known, released, 0), 0)
        recent = known & (age <= RECENT_DAYS * _US_PER_DAY)
        unplayed = (
            np.zeros(len(tracks), np.bool_) if self._listeners is None else self._listeners[tracks] == 0
        )
        new: BoolArray = recent | unplayed
        return new

    def _counted_artists(self, histories: Interactions) -> tuple[TimeArray, TimeArray]:
        """Rows and artists of the histories as one ascending number, and how many tracks each has."""
        heard = histories.row_index * self._n_owners + self._owners.take(histories.track_index) + 1
        return np.unique(heard, return_counts=True)

    def _n_by_artist(
        self, artists: tuple[TimeArray, TimeArray], rows: IndexArray, tracks: IndexArray
    ) -> IndexArray:
        """How many tracks of each row's history are by the artist of each track; 0 where unknown."""
        counted, counts = artists
        if not len(counted):
            return np.zeros(len(tracks), np.int32)
        owner = np.where(tracks == PADDING, PADDING, self._owners.take(np.maximum(tracks, 0)))
        wanted = rows * self._n_owners + owner + 1
        place = np.minimum(counted.searchsorted(wanted), len(counted) - 1)
        matches = (counted.take(place) == wanted) & (owner != PADDING)
        return np.where(matches, counts.take(place), 0).astype(np.int32)

    def _same_artist(self, one: int, other: int) -> bool:
        return bool(self._owners[one] == self._owners[other] != PADDING)

    @cached_property
    def _owners(self) -> IndexArray:
        return owner_codes(artist_keys(self._table))

    @cached_property
    def _n_owners(self) -> np.int64:
        """One more than there are artists, the unknown one included."""
        return np.int64(int(self._owners.max(initial=PADDING)) + 2)

    @cached_property
    def _artists(self) -> list[str | None]:
        return text_column(self._table, "artist").to_list()

    @cached_property
    def _released_at(self) -> TimeArray:
        return release_times(self._table)

    @cached_property
    def _newest_release(self) -> int:
        return int(self._released_at.max(initial=NO_TIME))


def track_names(track_table: pl.DataFrame) -> list[str]:
    """What to call each track, in index order: 'title by artist', or the id where it has no title."""
    title, artist = pl.col("title"), pl.col("artist")
    name = (
        pl.when(title.is_null())
        .then(pl.col("track_id"))
        .when(artist.is_null() | (artist == title))
        .then(title)
        .otherwise(pl.format("{} by {}", title, artist))
    )
    return track_table.select(name.alias("name"))["name"].to_list()
