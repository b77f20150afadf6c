"""Stand-ins: known tracks whose content is like that of a track nobody has played, and speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from audotics.data.compressed import Compressed, product
from audotics.data.corpus import Corpus
from audotics.domain import BoolArray, FloatArray, IndexArray
from audotics.features.catalogue import release_times
from audotics.features.term_vocabulary import TermVocabulary
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.protocol import Arrays, Scores
from audotics.retrieval.top_k import top_k

GROUP_WEIGHTS: Mapping[str, float] = {"artist": 1.0, "album": 0.5, "genre": 0.3, "tag": 1.0}
"""How much each kind of content counts: who made a track says most of who will play it."""

N_STAND_INS = 20
"""Known tracks that stand in for a new one."""

MOST_NEW = 2000
"""Most new tracks that are looked after, the newest releases first: older ones had their chance."""

_BLOCK_CELLS = 1 << 23
"""Likenesses worked on at once (32 MB)."""


class ContentIndex:
    """Finds the known tracks that are most like given ones, whether or not those are in the catalogue.

    Likeness is the sum over kinds of content (`GROUP_WEIGHTS`) of the cosines of TF-IDF vectors.

    Args:
        track_table: The catalogue (``schema.TRACKS``), one row per track in index order.
        known: ``[n_tracks]``, which tracks may stand in for others.

    Attributes:
        vocabulary: The terms of the catalogue.
    """

    def __init__(self, track_table: pl.DataFrame, known: BoolArray) -> None:
        self._known = np.flatnonzero(known).astype(np.int32)
        self._n_tracks = track_table.height
        self.vocabulary = TermVocabulary(track_table)
        self._by_term = self.describe(track_table)[self._known].T.tocsr()

    def describe(self, rows: pl.DataFrame) -> sparse.csr_matrix:
        """Weighted terms ``[n_rows, n_terms]`` of tracks; what no track of the catalogue has is left out."""
        blocks = [
            self.vocabulary.describe(rows, group) * np.float32(np.sqrt(weight))
            for group, weight in GROUP_WEIGHTS.items()
        ]
        return sparse.csr_matrix(sparse.hstack(blocks, format="csr"))

    def reaches(self, rows: pl.DataFrame) -> BoolArray:
        """Whether each track has a stand-in ``[n_rows]``: shares a term with a known one."""
        known = (np.diff(self._by_term.indptr) > 0).astype(np.float32)
        reached: BoolArray = self.describe(rows) @ known > 0
        return reached

    def stand_ins(self, rows: pl.DataFrame) -> sparse.csr_matrix:
        """For each track its stand-ins ``[n_rows, n_tracks]``: shares that add up to 1, or to 0 without any.

        The share of a stand-in is proportional to the square of its likeness, so that one of the same
        artist outweighs several of the same genre.

        Args:
            rows: Tracks (``schema.TRACKS``), in the catalogue or not.
        """
        described = self.describe(rows)
        step = max(1, _BLOCK_CELLS // max(1, len(self._known)))
        found = [self._nearest(described[start : start + step]) for start in range(0, rows.height, step)]
        return sparse.csr_matrix(sparse.vstack([self._nearest(described[:0]), *found], format="csr"))

    def _nearest(self, described: sparse.csr_matrix) -> sparse.csr_matrix:
        likeness: FloatArray = (described @ self._by_term).toarray()
        best = top_k(likeness, N_STAND_INS)
        shares = np.square(np.take_along_axis(likeness, best, axis=1))
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        rows, places = np.nonzero(shares)
        cells = (shares[rows, places], (rows, self._known[best[rows, places]]))
        return sparse.csr_matrix(cells, shape=(len(described.indptr) - 1, self._n_tracks), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class StandIns:
    """New tracks, and who lends them a score.

    No retriever but content knows anything of a track without a play. A score that another retriever
    gives its stand-ins is the best guess at what it would say of the track: for matrix factorisation, whose
    score is linear, this gives the track the mean factor of its stand-ins, a map from attributes to factors
    as in Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations" (2010);
    graphs and counts are lent by the same rule.

    Args:
        track_index: ``[n_new]``, ascending.
        shares: ``[n_new, n_tracks]``, see `ContentIndex.stand_ins`; no row is empty.
        vectors: ``[n_new, dim]`` by the identity of the vectors that they are lent, made when asked for.
    """

    track_index: IndexArray
    shares: sparse.csr_matrix
    vectors: dict[int, FloatArray] = field(default_factory=dict, compare=False, repr=False)
    _by_stand_in: Compressed = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        turned = sparse.csr_matrix(self.shares.T)
        kept = Compressed(turned.data, turned.indices, turned.indptr, self.n_new)
        object.__setattr__(self, "_by_stand_in", kept)

    @classmethod
    def of(cls, corpus: Corpus) -> Self:
        """Of the tracks that no event names, as far as their content is like that of one that is played."""
        named = np.zeros(corpus.n_tracks, np.bool_)
        named[corpus.events["track_index"].to_numpy()] = True
        return cls.of_tracks(corpus, np.flatnonzero(~named).astype(np.int32))

    @classmethod
    def of_tracks(cls, corpus: Corpus, track_index: IndexArray) -> Self:
        """Of given tracks, which must have no interaction in the corpus; at most `MOST_NEW` of them."""
        if len(track_index) > MOST_NEW:
            released = release_times(corpus.track_table)[track_index]
            track_index = np.sort(track_index[np.argsort(-released, kind="stable")[:MOST_NEW]])
        played = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks) > 0
        shares = ContentIndex(corpus.track_table, played).stand_ins(corpus.track_table[track_index])
        described = np.diff(shares.indptr) > 0
        return cls(track_index[described], shares[described])

    def beside(self, live: Self) -> Self:
        """These and live tracks: at most `MOST_NEW`, live ones before others.

        Args:
            live: Tracks of higher index, with shares in the same known tracks.
        """
        room = MOST_NEW - live.n_new
        if live.n_new == 0:
            return self
        if self.n_new == 0 or room <= 0:
            return live
        shares = sparse.vstack([self.shares[:room], live.shares], format="csr")
        index = np.concatenate([self.track_index[:room], live.track_index])
        return type(self)(index, sparse.csr_matrix(shares))

    @property
    def n_new(self) -> int:
        """How many new tracks."""
        return len(self.track_index)

    def lend(self, scores: Scores) -> FloatArray:
        """A retriever's scores of the new tracks ``[batch, n_new]``.

        Args:
            scores: Its scores of all tracks ``[batch, n_tracks]``.
        """
        if isinstance(scores, InnerProducts):
            return self._lend_products(scores)
        if not isinstance(scores, np.ndarray):
            return product(scores, self._by_stand_in).toarray()
        if scores.strides[0] == 0 and len(scores):
            return np.broadcast_to(self.lend(scores[:1].copy()), (len(scores), self.n_new))
        return np.ascontiguousarray((self.shares @ scores.T).T, dtype=np.float32)

    def _lend_products(self, scores: InnerProducts) -> FloatArray:
        """The same of scores that are linear in the vectors of tracks: those of new ones are means."""
        key = id(scores.vectors)
        if key not in self.vectors:
            self.vectors[key] = np.asarray(self.shares @ scores.vectors, dtype=np.float32)
        lent: FloatArray = scores.queries @ self.vectors[key].T
        return lent if scores.entries is None else lent + self.lend(scores.entries)

    def arrays(self) -> Arrays:
        """Everything as plain arrays."""
        return {
            "track_index": self.track_index,
            "data": self.shares.data,
            "indices": self.shares.indices.astype(np.int32),
            "indptr": self.shares.indptr.astype(np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_tracks: int) -> Self:
        """The same again from what `arrays` gave (memory-mapped arrays are not copied)."""
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        track_index = np.asarray(arrays["track_index"], dtype=np.int32)
        shape = (len(track_index), n_tracks)
        return cls(track_index, sparse.csr_matrix(parts, shape=shape, copy=False))
