"""Why live tracks are shown, and what they are a reason for: no retriever can say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, IndexArray
from audotics.features.terms import TermMatrix
from audotics.recommender.voices import Voices
from audotics.retrieval.protocol import Evidence, Explanation
from audotics.slate.catalogue import SlateCatalogue


@dataclass(frozen=True, slots=True)
class LiveReasons:
    """Completes the explanations of retrievers where there are live tracks.

    Args:
        voices: Tells live tracks from known ones.
        artists: ``[n_live]``, names of the live tracks' artists.
        catalogue: Of known and live tracks.
        terms: What describes these.
    """

    voices: Voices
    artists: Sequence[str | None]
    catalogue: SlateCatalogue
    terms: TermMatrix

    def complete(
        self, found: list[Explanation | None], batch: QueryBatch, tracks: IndexArray, rows: IndexArray
    ) -> None:
        """Add what speaks for live tracks, and live tracks that speak for others.

        Args:
            found: ``[n]`` what retrievers say, of histories without live tracks; changed in place.
            batch: The queries with their whole histories.
            tracks: ``[n]``.
            rows: ``[n]``, the query of each track.
        """
        histories = batch.histories
        for place, (track, row) in enumerate(zip(tracks.tolist(), rows.tolist(), strict=True)):
            if found[place] is None:
                heard = histories.track_index[histories.indptr[row] : histories.indptr[row + 1]]
                found[place] = self._live(track, heard) if self._is_live(track) else self._cause(heard)

    def _is_live(self, track: int) -> bool:
        return track >= self.voices.n_known

    def _live(self, track: int, heard: IndexArray) -> Explanation | None:
        """By an artist that the listener plays, else of a genre, else with a tag that they play most."""
        artist = int(self.catalogue.artist[track])
        name = self.artists[track - self.voices.n_known]
        if name is not None and artist != PADDING and (self.catalogue.artist[heard] == artist).any():
            return Explanation(Evidence.TERM, term=name)
        for group in ("genre", "tag"):
            term = self._most_heard(group, track, heard)
            if term is not None:
                return Explanation(Evidence.TERM, term=term)
        return None

    def _most_heard(self, group: str, track: int, heard: IndexArray) -> str | None:
        """The term of a track that stands on most of the heard ones."""
        rows, columns = self.terms.compressed, self.terms.slices.get(group, slice(0, 0))
        own = rows.indices[rows.indptr[track] : rows.indptr[track + 1]]
        own = own[(own >= columns.start) & (own < columns.stop)]
        places, _ = rows.entries(heard)
        counts = (rows.indices.take(places) == own[:, None]).sum(axis=1)
        return self.terms.names[int(own[counts.argmax()])] if counts.any() else None

    def _cause(self, heard: IndexArray) -> Explanation | None:
        """The last live track, of a history that holds nothing else: retrievers heard its voices."""
        if not len(heard) or not (heard >= self.voices.n_known).all():
            return None
        return Explanation(Evidence.TRACK, cause=int(heard[-1]))
