"""What tracks are like, out of what a recommender has learned: content where there is some, else factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from audotics.domain import FloatArray
from audotics.features.content_profile import ContentProfile
from audotics.features.terms import TermMatrix
from audotics.retrieval.protocol import Retriever
from audotics.slate.catalogue import TrackVectors

_FACTORS = "track_factors"
"""Array of a retriever that holds one dense vector per track."""


def track_vectors(content: ContentProfile, retrievers: Sequence[Retriever]) -> TrackVectors:
    """Vectors for diversity and genres for calibration.

    Likeness is that of artist, album, genres, tags and decade together, each kind with the same weight;
    where the catalogue has none of them, that of a retriever's factors. Genres are the catalogue's, or
    its tags where no track has a genre.
    """
    terms = TermMatrix.from_arrays(content.arrays())
    genres = terms.group("genre")
    if genres.shape[1] == 0:
        genres = terms.group("tag")
    likeness = _unit_rows(terms.matrix) if terms.n_terms else _factors(retrievers, terms.n_tracks)
    return TrackVectors(likeness, _distributions(genres))


def _unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return _scaled_rows(matrix, lengths)


def _distributions(genres: sparse.csr_matrix) -> sparse.csr_matrix:
    """Every genre of a track counts the same, as in Steck 2018."""
    equal = sparse.csr_matrix((np.ones(genres.nnz, np.float32), genres.indices, genres.indptr), genres.shape)
    return _scaled_rows(equal, np.diff(equal.indptr).astype(np.float64))


def _scaled_rows(matrix: sparse.csr_matrix, sizes: np.ndarray) -> sparse.csr_matrix:
    scale = np.divide(1.0, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    data = matrix.data * np.repeat(scale, np.diff(matrix.indptr))
    return sparse.csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), matrix.shape)


def _factors(retrievers: Sequence[Retriever], n_tracks: int) -> FloatArray:
    for retriever in retrievers:
        factors = retriever.arrays().get(_FACTORS)
        if factors is not None:
            lengths = np.linalg.norm(factors, axis=1, keepdims=True)
            vectors = np.zeros((n_tracks, factors.shape[1]), np.float32)
            # Live tracks, behind those that the retriever knows, are like no other.
            vectors[: len(factors)] = factors / np.where(lengths > 0, lengths, 1.0)
            return vectors
    return np.zeros((n_tracks, 0), np.float32)
