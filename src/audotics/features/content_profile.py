"""How alike the content of candidates is to what a listener plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audotics.data.compressed import Compressed, product
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, FloatArray, IndexArray, TimeArray
from audotics.errors import NotFittedError
from audotics.features.terms import TermMatrix

_BLOCK = 1 << 22
"""Profile cells or candidate terms worked on at once."""


class ContentProfile:
    """How alike each candidate's content is to what the listener plays, per group of terms.

    The profile of a listener is the sum of the term vectors of the history's tracks, each weighted with
    ``ln(1 + plays)``; the feature is the cosine between profile and candidate inside the group (a
    listener-profile recommender as in Pazzani and Billsus, *Content-Based Recommendation Systems*, 2007).
    """

    def __init__(self) -> None:
        self._terms: TermMatrix | None = None
        self._offsets: TimeArray = np.zeros((0, 1), np.int64)

    def fit(self, terms: TermMatrix) -> Self:
        """Take the terms of all tracks and find where each group begins in each row."""
        self._terms = terms
        counts = [np.diff(terms.group(name).indptr) for name in terms.groups]
        self._offsets = np.cumsum([terms.matrix.indptr[:-1], *counts], axis=0, dtype=np.int64).T
        return self

    def extended(self, rows: sparse.csr_matrix) -> ContentProfile:
        """The same with further tracks behind the known ones.

        Args:
            rows: ``[n_more, n_terms]``, what describes them, as `TermMatrix.matrix` does.
        """
        terms = self._fitted()
        more = ContentProfile().fit(replace(terms, matrix=rows))
        other = ContentProfile()
        other._terms = replace(terms, matrix=sparse.csr_matrix(sparse.vstack([terms.matrix, rows])))
        other._offsets = np.concatenate([self._offsets, more._offsets + terms.matrix.nnz])
        return other

    @property
    def terms(self) -> TermMatrix:
        """What describes the tracks."""
        return self._fitted()

    @property
    def names(self) -> tuple[str, ...]:
        """One name per group of terms; none where the catalogue has no content."""
        return tuple(f"content_{group}" for group in self._fitted().groups)

    def compute(self, batch: QueryBatch, track_index: IndexArray) -> FloatArray:
        """Cosines ``[batch, width, n_groups]`` in [0, 1], 0 where padded or where either side is empty.

        Args:
            batch: The queries with their histories.
            track_index: ``[batch, width]`` candidates, padded with -1.
        """
        terms = self._fitted()
        out = np.zeros((*track_index.shape, len(terms.groups)), dtype=np.float32)
        per_track = terms.matrix.nnz / max(1, terms.n_tracks)
        per_query = max(terms.n_terms, track_index.shape[1] * per_track, 1)
        step = max(1, int(_BLOCK / per_query))
        for start in range(0, batch.size if out.size else 0, step):
            block = slice(start, start + step)
            profiles = self._profiles(terms, batch.part(start, start + step).histories)
            out[block] = self._cosines(terms, profiles, track_index[block])
        return out

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The terms as plain arrays."""
        return {"offsets": self._offsets, **self._fitted().arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Fitted again from what `arrays` gave."""
        profile = cls()
        profile._terms = TermMatrix.from_arrays(arrays)
        profile._offsets = np.asarray(arrays["offsets"])
        return profile

    def _fitted(self) -> TermMatrix:
        if self._terms is None:
            raise NotFittedError("ContentProfile")
        return self._terms

    def _profiles(self, terms: TermMatrix, histories: Interactions) -> FloatArray:
        """Dense profiles ``[batch, n_terms]``, each group's part of length 1 (or empty)."""
        played = Compressed(
            np.log1p(histories.plays), histories.track_index, histories.indptr, histories.n_tracks
        )
        profiles = product(played, terms.compressed)
        group = terms.bounds[1:].searchsorted(profiles.indices, side="right")
        part = np.arange(profiles.n_rows).repeat(profiles.lengths) * len(terms.groups) + group
        lengths = np.sqrt(np.bincount(part, profiles.data**2, profiles.n_rows * len(terms.groups)))
        scales = np.maximum(lengths[part], np.finfo(np.float32).tiny).astype(np.float32)
        return replace(profiles, data=profiles.data / scales).toarray()

    def _cosines(self, terms: TermMatrix, profiles: FloatArray, track_index: IndexArray) -> FloatArray:
        """Dot products ``[batch, width, n_groups]`` of the profiles with the candidates' rows, per group.

        A running sum over all entries, read at the edges of the groups, costs the same however many
        groups there are; in double precision it loses nothing that float32 could show.
        """
        wanted = np.maximum(track_index, 0).ravel()
        places, lengths = terms.compressed.entries(wanted)
        in_profiles = terms.compressed.indices.take(places)
        if len(profiles) > 1:
            query = np.arange(len(profiles)).repeat(track_index.shape[1])
            in_profiles = in_profiles + (query * profiles.shape[1]).repeat(lengths)
        values = profiles.ravel().take(in_profiles)
        values *= terms.compressed.data.take(places)
        running = np.zeros(len(places) + 1)
        np.cumsum(values, out=running[1:])
        edges = self._offsets[wanted]
        edges += (lengths.cumsum() - lengths - edges[:, 0])[:, None]
        ends = running.take(edges)
        cosines = (ends[:, 1:] - ends[:, :-1]).astype(np.float32).reshape(*track_index.shape, -1)
        cosines[track_index == PADDING] = 0.0
        return cosines
