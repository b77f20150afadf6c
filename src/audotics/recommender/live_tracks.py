"""Live tracks: added while a version serves, laid over it without changing anything that it has learned."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.domain import IndexArray
from audotics.errors import BadInputError, DamagedError
from audotics.features.catalogue import Owners, album_keys, artist_keys, text_column
from audotics.features.content_profile import ContentProfile
from audotics.features.terms import MIN_TRACKS, TermMatrix
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.live_reasons import LiveReasons
from audotics.recommender.track_vectors import track_vectors
from audotics.recommender.voices import Voices
from audotics.retrieval.stand_ins import MOST_NEW, ContentIndex, StandIns
from audotics.slate.extended_catalogue import ExtendedCatalogue

if TYPE_CHECKING:
    from audotics.recommender.recommender import Recommender

_CONTENT = ("artist_id", "artist", "album_id", "album", "genres", "tags")
"""Columns by which stand-ins are found."""


class LiveGround:
    """What live tracks of one version are compared with. Made once; seconds where there are 100,000 tracks.

    Args:
        recommender: The version, without live tracks.
    """

    def __init__(self, recommender: Recommender) -> None:
        table = recommender.track_table
        self.index = ContentIndex(table, recommender.catalogue.listeners > 0)
        self.terms = self.index.vocabulary.at_least(MIN_TRACKS)
        self._artists, self._albums = Owners(artist_keys(table)), Owners(album_keys(table))
        self._found: tuple[npt.NDArray[np.uint64], sparse.csr_matrix] | None = None

    def owners(self, rows: pl.DataFrame) -> dict[str, IndexArray]:
        """Numbers of the artists and albums of live tracks, see `Owners`."""
        return {
            "artist": self._artists.codes_of(artist_keys(rows)),
            "album": self._albums.codes_of(album_keys(rows)),
        }

    def content(self, profile: ContentProfile, rows: pl.DataFrame) -> ContentProfile:
        """A profile of the version with live tracks described by its own terms.

        Raises:
            DamagedError: The version's catalogue has other terms than it was trained with.
        """
        terms = profile.terms
        blocks = [self.terms.describe(rows, group) for group in terms.groups]
        if [block.shape[1] for block in blocks] != np.diff(terms.bounds).tolist():
            raise DamagedError("the catalogue has other terms than the features", where="live tracks")
        described = sparse.hstack([_empty(rows.height, 0), *blocks], format="csr")
        return profile.extended(sparse.csr_matrix(described))

    def stand_ins(self, rows: pl.DataFrame) -> sparse.csr_matrix:
        """See `ContentIndex.stand_ins`; what was found for the rows of the last call is not sought again."""
        hashes = rows.select(name for name in _CONTENT if name in rows.columns).hash_rows().to_numpy()
        fresh, before = np.ones(rows.height, np.bool_), None
        if self._found is not None and len(self._found[0]):
            known, before = self._found
            order = np.argsort(known)
            place = order[np.minimum(np.searchsorted(known, hashes, sorter=order), len(known) - 1)]
            fresh = known[place] != hashes
        shares = self.index.stand_ins(rows.filter(fresh))
        if before is not None:
            both = sparse.vstack([before, shares], format="csr")
            place[fresh] = before.shape[0] + np.arange(np.count_nonzero(fresh))
            shares = sparse.csr_matrix(both[place])
        self._found = hashes, shares
        return shares


@dataclass(frozen=True)
class _Overlay:
    """Live tracks as the parts of a recommender see them."""

    ground: LiveGround
    rows: pl.DataFrame
    n_known: int
    contents: list[tuple[ContentProfile, ContentProfile]] = field(default_factory=list)

    @cached_property
    def owners(self) -> dict[str, IndexArray]:
        return self.ground.owners(self.rows)

    @cached_property
    def shares(self) -> sparse.csr_matrix:
        """``[n_live, n_known]``; empty for all but the last `MOST_NEW`."""
        last = self.ground.stand_ins(self.rows[-MOST_NEW:])
        earlier = _empty(self.rows.height - last.shape[0], self.n_known)
        return sparse.csr_matrix(sparse.vstack([earlier, last], format="csr"))

    @cached_property
    def voices(self) -> Voices:
        return Voices.of(self.shares)

    @cached_property
    def stand_ins(self) -> StandIns:
        described = np.flatnonzero(np.diff(self.shares.indptr) > 0)
        return StandIns((self.n_known + described).astype(np.int32), self.shares[described])

    def content(self, profile: ContentProfile) -> ContentProfile:
        """The profile with live tracks: one for all branches whose catalogues are the same."""
        for known, extended in self.contents:
            if _same_terms(known.terms, profile.terms):
                return extended
        self.contents.append((profile, self.ground.content(profile, self.rows)))
        return self.contents[-1][1]

    def over(self, branch: Branch) -> Branch:
        """The branch with live tracks: candidates only where it has a way to new tracks."""
        generator, assembler, new = branch.generator, branch.assembler, branch.new
        return replace(
            branch,
            generator=CandidateGenerator(generator.retrievers, generator.per_retriever, self.voices),
            assembler=assembler.extended(
                assembler.statistics.extended(self.rows, self.owners),
                self.content(assembler.content),
                self.voices,
            ),
            new=None if new is None else replace(new, stand_ins=new.stand_ins.beside(self.stand_ins)),
        )


def with_live_tracks(base: Recommender, ground: LiveGround, rows: pl.DataFrame) -> Recommender:
    """A copy of a version whose tracks from ``len(base.tracks)`` on are live; see `Recommender.with_tracks`.

    Args:
        base: The version, without live tracks.
        ground: Of this version.
        rows: ``[n_live]`` tracks (``schema.TRACKS``, columns may be missing), the last added last.
    """
    ids = rows["track_id"].to_list()
    known = [track_id for track_id in ids if track_id in base.tracks]
    if known or len(set(ids)) != len(ids):
        raise BadInputError(
            "a track is known to the version or stands twice", where=f"live tracks, {(known or ids)[0]!r}"
        )
    rows = _in_columns_of(base.track_table, rows)
    overlay = _Overlay(ground, rows, len(base.tracks))
    other = copy.copy(base)
    other.tracks = base.tracks.extended(ids)
    other.histories = replace(base.histories, n_tracks=len(other.tracks))
    other.track_table = pl.concat([base.track_table, rows])
    other.unheard = overlay.over(base.unheard)
    other.heard = None if base.heard is None else overlay.over(base.heard)
    content = other.unheard.assembler.content
    other.catalogue = catalogue = ExtendedCatalogue(
        base.catalogue, other.track_table, overlay.owners, lambda: track_vectors(content, base.retrievers)
    )
    catalogue.get_ready()
    reasons = LiveReasons(overlay.voices, text_column(rows, "artist").to_list(), catalogue, content.terms)
    other.explainer = base.explainer.extended(rows, catalogue, reasons)
    return other


def _in_columns_of(table: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with exactly the columns of a table, null where they lack one."""
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in table.schema.items()
    )


def _empty(n_rows: int, n_columns: int) -> sparse.csr_matrix:
    nowhere = np.zeros(0, np.int32)
    return sparse.csr_matrix((np.zeros(0, np.float32), (nowhere, nowhere)), shape=(n_rows, n_columns))


def _same_terms(one: TermMatrix, other: TermMatrix) -> bool:
    parts = zip(one.arrays().values(), other.arrays().values(), strict=True)
    return all(np.array_equal(mine, theirs) for mine, theirs in parts)
