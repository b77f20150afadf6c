"""Calibration: the slate's genres in the proportions of the listener's own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from audotics.data.interactions import Interactions
from audotics.domain import FloatArray, IndexArray
from audotics.slate.terms import CandidateTerms

SMOOTHING = 0.01
"""Share of the listener's mix that is mixed into the slate's, so that the divergence stays finite."""


class Calibration:
    """Calibrated recommendations (Steck, *Calibrated Recommendations*, RecSys 2018).

    With ``p`` the mix of genres that the listener plays and ``q`` that of the slate with the candidate,
    smoothed to ``(1 - a) q + a p``, the next track maximises ``(1 - knob) * relevance - knob * KL(p || q)``.
    A listener without known genres has no mix, and nothing is changed for them.

    Args:
        genres: ``[n_tracks, n_genres]``, each row a distribution or empty.
        track_index: ``[batch, width]`` candidates, padded with -1.
        histories: What each listener of the batch plays.
        knob: 0 is relevance alone, 1 the mix alone.
    """

    def __init__(
        self, genres: sparse.csr_matrix, track_index: IndexArray, histories: Interactions, knob: float
    ) -> None:
        self._knob = knob
        self._terms = CandidateTerms.of(genres, track_index)
        self._wanted = _wanted(genre_mixes(genres, histories), self._terms)
        self._held = np.zeros(len(self._wanted))
        self._n_taken = 0

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return "calibration"

    @property
    def knob(self) -> float:
        """How much it counts."""
        return self._knob

    def penalty(self) -> FloatArray:
        """``[batch, width]``: the divergence with each candidate, less that with one of no genre.

        Only the genres of the candidate itself tell the two apart, so a place costs one pass over the
        candidates' genres, not over all genres.
        """
        terms = self._terms
        share = (1.0 - SMOOTHING) / (self._n_taken + 1)
        wanted, held = self._wanted[terms.column], self._held[terms.column]
        before = share * held + SMOOTHING * wanted
        gain = np.zeros(len(wanted))
        asked = wanted > 0
        gain[asked] = wanted[asked] * np.log1p(share * terms.value[asked] / before[asked])
        return -terms.summed(gain)

    def take(self, slots: IndexArray) -> None:
        """Add the genres of the candidate taken."""
        entries = self._terms.entries_of(slots)
        self._held[self._terms.column[entries]] += self._terms.value[entries]
        self._n_taken += 1


def genre_mixes(genres: sparse.csr_matrix, histories: Interactions) -> sparse.csr_matrix:
    """Mix of each listener ``[batch, n_genres]``: mean over their tracks, weighted by ``ln(1 + plays)``."""
    mixes = sparse.csr_matrix(histories.matrix(np.log1p(histories.plays)) @ genres)
    sums = np.asarray(mixes.sum(axis=1)).ravel()
    scale = np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0)
    return sparse.csr_matrix(sparse.diags_array(scale) @ mixes)


def _wanted(mixes: sparse.csr_matrix, terms: CandidateTerms) -> npt.NDArray[np.float64]:
    """The listener's share of each column of the candidates' terms ``[n_columns]``."""
    rows = np.repeat(np.arange(mixes.shape[0]), np.diff(mixes.indptr))
    keys = rows * mixes.shape[1] + mixes.indices.astype(np.int64)
    wanted = np.zeros(len(terms.column_keys))
    place = np.searchsorted(terms.column_keys, keys)
    known = place < len(wanted)
    known[known] = terms.column_keys[place[known]] == keys[known]
    wanted[place[known]] = mixes.data[known]
    return wanted
