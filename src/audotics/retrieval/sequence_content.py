"""The content of tracks in the form that the track tower reads: few terms a track, and audio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from audotics.domain import FloatArray, IndexArray
from audotics.features.audio import audio_features
from audotics.features.terms import content_terms

N_TERMS = 16
"""Terms kept of each track, the strongest ones: what a step gathers must be bounded."""


@dataclass(frozen=True, slots=True)
class TowerContent:
    """Content of every track, in rows of fixed width.

    Args:
        terms: ``[n_tracks, width]`` places in the vocabulary of terms, ``n_terms`` where there is none.
        strengths: ``[n_tracks, width]``, 0 where there is none.
        audio: ``[n_tracks, n_audio]``, rows of length 1, or of zeros where nothing is known.
        n_terms: Size of the vocabulary of terms.
    """

    terms: IndexArray
    strengths: FloatArray
    audio: FloatArray
    n_terms: int

    @classmethod
    def of(cls, track_table: pl.DataFrame) -> TowerContent:
        """Read a catalogue (``schema.TRACKS``), one row per track in index order."""
        found = content_terms(track_table)
        matrix = found.matrix
        lengths = np.diff(matrix.indptr)
        row = np.repeat(np.arange(found.n_tracks), lengths)
        order = np.lexsort((-matrix.data, row))
        place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
        kept = place < N_TERMS
        cells, taken = (row[kept], place[kept]), order[kept]
        width = min(N_TERMS, int(lengths.max(initial=0)))
        terms = np.full((found.n_tracks, width), found.n_terms, np.int32)
        strengths = np.zeros((found.n_tracks, width), np.float32)
        terms[cells], strengths[cells] = matrix.indices[taken], matrix.data[taken]
        audio = audio_features(track_table)
        audio /= np.maximum(np.linalg.norm(audio, axis=1, keepdims=True), np.float32(1e-9))
        return cls(terms, strengths, audio, found.n_terms)
