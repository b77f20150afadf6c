"""What tracks are like, as arrays: weighted terms, audio, and both as dense vectors where there are many."""

from __future__ import annotations

import weakref

import numpy as np
import polars as pl

from audotics.data.compressed import Compressed
from audotics.domain import PADDING, FloatArray
from audotics.features.terms import content_terms
from audotics.retrieval.protocol import Arrays

LEAST_BROAD_SHARE = 1 / 500
"""Share of the tracks on which a broad term stands at least."""

MOST_BROAD = 128
"""Most broad terms, those on most tracks."""

_LAST_DESCRIBED: dict[int, Arrays] = {}
"""What `described_tracks` last answered, by the identity of the table; at most one entry."""


def described_tracks(track_table: pl.DataFrame) -> Arrays:
    """Terms and audio of every track, as the read-only arrays that `ContentKNN` keeps of a catalogue.

    No setting changes them, and tuning fits dozens of settings on one catalogue: so the answer for the
    last table is remembered, until another table is asked about or this one is gone. Tables are never
    changed in place.

    Args:
        track_table: The tracks table (``schema.TRACKS``), one row per track in index order.
    """
    key = id(track_table)
    arrays = _LAST_DESCRIBED.get(key)
    if arrays is None:
        arrays = _describe(track_table)
        _LAST_DESCRIBED.clear()
        _LAST_DESCRIBED[key] = arrays
        # An identity may be given again once its table is gone.
        weakref.finalize(track_table, _LAST_DESCRIBED.pop, key, None)
    return arrays


def _describe(track_table: pl.DataFrame) -> Arrays:
    # Learning only: loading and scoring a stored retriever must not need scikit-learn.
    from audotics.features.audio import audio_features

    terms = content_terms(track_table)
    by_term = terms.matrix.T.tocsr()
    arrays = {
        **terms.arrays(),
        "group_of_term": np.repeat(np.arange(len(terms.groups)), np.diff(terms.bounds)).astype(np.int32),
        "by_term_data": by_term.data,
        "by_term_indices": by_term.indices,
        "by_term_indptr": by_term.indptr,
        "audio": unit_rows(audio_features(track_table)),
    }
    for array in arrays.values():
        # Several retrievers share them.
        array.flags.writeable = False
    return arrays


def broad_vectors(arrays: Arrays, popularity: FloatArray) -> Arrays:
    """Audio and the terms that stand on many tracks as one dense vector of each track.

    A genre or a decade is shared with a tenth of the catalogue: adding up such terms track by track takes
    longer than all else that a request needs.

    Args:
        arrays: What `described_tracks` gives.
        popularity: ``[n_tracks]``, factor of each track's scores.

    Returns:
        ``broad_vectors [n_tracks, n_components + n_broad]`` and ``broad_places [n_terms]``, the place of
        each broad term behind the audio, -1 for the others.
    """
    n_tracks = len(popularity)
    by_term = stored_matrix(arrays, "by_term_", n_tracks)
    frequent = np.argsort(-by_term.lengths, kind="stable")[:MOST_BROAD]
    frequent = frequent[by_term.lengths[frequent] >= LEAST_BROAD_SHARE * n_tracks]
    places = np.full(by_term.n_rows, PADDING, np.int32)
    places[frequent] = np.arange(len(frequent))
    n_components = arrays["audio"].shape[1]
    vectors = np.zeros((n_tracks, n_components + len(frequent)), np.float32)
    vectors[:, :n_components] = arrays["audio"]
    entries, lengths = by_term.entries(frequent)
    columns = n_components + np.arange(len(frequent)).repeat(lengths)
    vectors[by_term.indices[entries], columns] = by_term.data[entries]
    vectors *= popularity[:, None]
    return {"broad_vectors": vectors, "broad_places": places}


def stored_matrix(arrays: Arrays, prefix: str, width: int) -> Compressed:
    """The matrix that three of the arrays hold."""
    return Compressed.of(arrays, width, (f"{prefix}data", f"{prefix}indices", f"{prefix}indptr"))


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths: FloatArray = np.sqrt(np.sum(vectors * vectors, axis=1, keepdims=True))
    lengths[lengths == 0] = 1.0
    scaled: FloatArray = vectors / lengths
    return scaled
