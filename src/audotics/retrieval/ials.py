"""Implicit alternating least squares: factors of listeners and tracks from who played what how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import sparse

from audotics.data.compressed import Compressed
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import BoolArray, FloatArray, IndexArray
from audotics.retrieval.factored import FactoredRetriever
from audotics.retrieval.learned import strongest_tracks
from audotics.retrieval.protocol import (
    Arrays,
    Choice,
    Explanation,
    Portfolio,
    Range,
    RetrieverConfig,
    SearchSpace,
)
from audotics.retrieval.row_solver import Rows, RowSolver
from audotics.retrieval.warm_start import TrackRows
from audotics.retrieval.weighting import HALF_LIFE, HistoryWeights, play_scale, play_weights, weighting_arrays

MAX_FLOPS = 2e13
"""Most floating-point operations of a fit that tuning considers: minutes on two cores."""

WARM_SHARE = 1 / 3
"""Part of the sweeps that a warm start needs to get as far as a cold one with all of them."""


class IALSConfig(RetrieverConfig):
    """Settings of `IALS`."""

    rank: int = Field(256, ge=1, le=2048)
    """Length of the factors."""
    unobserved_ratio: float = Field(20.0, gt=0)
    """Confidence of all unobserved pairs together, in units of that of all observed ones."""
    regularization: float = Field(0.2, gt=0)
    """Ridge of a row of usual length, in units of its number of pairs."""
    sweeps: int = Field(12, ge=1)
    """Times that both sides are solved."""
    play_strength: float = Field(0.3, ge=0)
    """How much repeated plays raise the confidence, see `play_weights`."""
    half_life: float | None = Field(None, gt=0)
    """Tracks after which a play in the history counts half, where there is order; see `recency_weights`."""
    seed: int = Field(0, ge=0)
    """Fixes the starting factors."""


class IALS(FactoredRetriever[IALSConfig]):
    """Matrix factorisation for implicit feedback with frequency-scaled regularisation.

    Minimises over listener factors ``w`` and track factors ``h``

        sum over heard pairs of c_ut (1 - w_u . h_t)^2  +  a0 sum over all pairs of (w_u . h_t)^2
        + l (sum over u of (n_u + a0 N_tracks) |w_u|^2 + sum over t of (n_t + a0 N_listeners) |h_t|^2)

    with ``c`` from the logarithm of plays. So that settings fit data of any density, ``a0`` and ``l`` are
    given as ``a0 = unobserved_ratio x density`` and ``l = regularization / (1 + unobserved_ratio)``; only
    warm listeners and tracks count in the density and in ``N``.

    A query is folded in: its history alone is solved against the track factors, exactly as in training,
    so listeners seen in training or not are answered alike.

    Sources: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008);
    Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS on Item Recommendation
    Benchmarks" (2021).
    """

    name: ClassVar[str] = "ials"
    vectors_name: ClassVar[str] = "track_factors"
    config_type: ClassVar[type[RetrieverConfig]] = IALSConfig
    space: ClassVar[SearchSpace] = {
        "rank": Choice((128, 256, 512)),
        "unobserved_ratio": Range(1.0, 100.0, log=True),
        "regularization": Range(0.02, 0.6, log=True),
        "play_strength": Choice((0.0, 0.3, 1.0)),
        "half_life": HALF_LIFE,
    }
    portfolio: ClassVar[Portfolio] = (
        {"rank": 512, "regularization": 0.1},
        {"regularization": 0.3, "play_strength": 1.0},
    )

    @classmethod
    def search_space(cls, corpus: Corpus) -> SearchSpace:
        """The space with only the ranks that can be fitted to this corpus in `MAX_FLOPS`."""
        ranks = tuple(rank for rank in (128, 256, 512) if _flops(corpus.interactions, rank) <= MAX_FLOPS)
        return {**super().search_space(corpus), "rank": Choice(ranks or (64,))}

    _earlier: tuple[FloatArray, BoolArray] | None = None

    def start_from(self, earlier: Mapping[str, npt.NDArray[Any]], rows: TrackRows) -> None:
        """Start the next fit from earlier track factors; it then takes `WARM_SHARE` of the sweeps.

        Listeners need no start: the first half of a sweep solves them against the tracks. See
        `audotics.retrieval.warm_start.WarmStarting`.
        """
        self._earlier = rows.carried(earlier[self.vectors_name])

    def learn(self, corpus: Corpus) -> Arrays:
        """Alternate over listeners and tracks for the configured number of sweeps."""
        # Learning only: loading and scoring a stored retriever must not need this library.
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        interactions = corpus.interactions
        scale, strength = play_scale(interactions), self.config.play_strength
        by_user = interactions.matrix(play_weights(interactions.plays, scale, strength))
        by_track = by_user.T.tocsr()
        warm = np.diff(by_track.indptr) > 0
        # Mean pairs of a warm row, on either side; both sides lead to the same density.
        n_warm_tracks = max(1, int(np.count_nonzero(warm)))
        per_user = interactions.n_pairs / max(1, int(np.count_nonzero(interactions.lengths)))
        per_track = interactions.n_pairs / n_warm_tracks
        unobserved = self.config.unobserved_ratio * per_user / n_warm_tracks
        tracks, n_sweeps = self._start(corpus.n_tracks)
        # A cold track must not weigh in the Gram matrix of the first sweep.
        tracks[~warm] = 0.0
        # Threads of the linear algebra library cost more than they bring on thousands of small systems.
        with threadpool_limits(limits=1, user_api="blas"):
            for _ in range(n_sweeps):
                solver = RowSolver.rotated(tracks, unobserved)
                users = self.solve_rows(solver, by_user, self._ridge(by_user, per_user))
                solver = RowSolver.rotated(users, unobserved)
                tracks = self.solve_rows(solver, by_track, self._ridge(by_track, per_track))
        solver = RowSolver.rotated(tracks, unobserved)
        return {
            "track_factors": solver.factors,
            "spectrum": solver.spectrum,
            **weighting_arrays(interactions),
            "pairs_per_user": np.array([per_user], np.float32),
        }

    def solve_rows(self, solver: RowSolver, matrix: sparse.csr_matrix, ridge: FloatArray) -> FloatArray:
        """Half a sweep: factors ``[n_rows, rank]`` of one side. Rows do not depend on each other."""
        return solver.solve(matrix, ridge)

    def _start(self, n_tracks: int) -> tuple[FloatArray, int]:
        """Factors of the tracks to begin with ``[n_tracks, rank]``, and how many sweeps are needed then."""
        rank = self.config.rank
        random = np.random.default_rng(self.config.seed)
        tracks = random.normal(0.0, 0.1 / np.sqrt(rank), (n_tracks, rank)).astype(np.float32)
        if self._earlier is None:
            return tracks, self.config.sweeps
        factors, told = self._earlier
        self._earlier = None
        shared = min(rank, factors.shape[1])
        tracks[told, :shared] = factors[told, :shared]
        return tracks, max(1, round(WARM_SHARE * self.config.sweeps))

    def query_vectors(self, batch: QueryBatch) -> FloatArray:
        """Folded-in factors ``[batch, rank]``."""
        return self._solver().solve(*self._fold_in(batch.histories))

    def explain_one(self, query: QueryBatch, track_index: IndexArray) -> list[Explanation | None]:
        """The history track with the largest share of the score, which is a sum over the history."""
        confidences, ridge = self._fold_in(query.histories)
        solver = self._solver()
        shares = solver.contributions(confidences, ridge, solver.factors[track_index])
        return strongest_tracks(query.histories, shares, track_index)

    def _solver(self) -> RowSolver:
        arrays = self.arrays()
        return RowSolver(arrays["track_factors"], arrays["spectrum"])

    def _fold_in(self, histories: Interactions) -> tuple[Compressed, FloatArray]:
        """Confidences ``[batch, n_tracks]``, faded where that is set, and ridges ``[batch]`` of histories."""
        arrays, config = self.arrays(), self.config
        weights = HistoryWeights.learned(arrays, config.play_strength, config.half_life)
        confidences = weights.rows(histories)
        return confidences, self._ridge(confidences, float(arrays["pairs_per_user"][0]))

    def _ridge(self, matrix: Rows, usual_pairs: float) -> FloatArray:
        """``l (n_u + a0 N)`` of each row ``[n_rows]``; ``a0 N`` is the ratio times the usual length."""
        ratio = self.config.unobserved_ratio
        expected = matrix.indptr[1:] - matrix.indptr[:-1] + ratio * usual_pairs
        ridge: FloatArray = (self.config.regularization / (1.0 + ratio) * expected).astype(np.float32)
        return ridge


def _flops(interactions: Interactions, rank: int) -> float:
    """Floating-point operations of a fit with the usual number of sweeps.

    Each pair adds to a Gram matrix on both sides; each row on either side is one system of equations,
    never larger than its entries or the rank.
    """
    tracks = np.bincount(interactions.track_index, minlength=interactions.n_tracks)
    sides = np.concatenate([interactions.lengths, tracks]).astype(np.float64)
    order = np.minimum(sides, rank)
    per_sweep = 2 * np.sum(sides * order * rank) + 2 / 3 * np.sum(order**3)
    return float(IALSConfig().sweeps * per_sweep)
