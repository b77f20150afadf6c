"""LinearRanker: a weighted sum of the features, fitted to order whole lists.

Listwise softmax cross-entropy (Cao et al. 2007, ListNet, top-one probabilities): for a list with
scores ``s = X w`` and played tracks ``P``, ``loss = -1/|P| * sum over P of log softmax(s)``.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from audotics.domain import BoolArray, FloatArray
from audotics.ranking.checks import check_positives
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg
from audotics.ranking.sampling import within_budget
from audotics.ranking.weighted import STANDARDISED, WeightedRanker, weighted_scores

_PENALTIES = (np.inf, 1.0, 0.1, 0.01, 1e-3, 1e-4)
"""L2 strengths tried, strongest first (infinity: the mean itself), each started from the one before."""
_MAX_ROWS = 500_000

_Doubles = npt.NDArray[np.float64]


class LinearRanker(WeightedRanker):
    """Listwise softmax regression with L2, its strength chosen by NDCG@20 on the validation lists.

    The penalty pulls towards the mean of the retrievers' standardised scores, not towards zero: with
    little data the ranker falls back to that mean (which is hard to beat), with much data it leaves it.

    Args:
        seed: Chooses the sampled negatives where the lists are too many to use whole.
    """

    name: ClassVar[str] = "linear"
    penalty_: float

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Fit every strength and keep the best.

        Raises:
            BadInputError: No list holds a played track.
        """
        check_positives(train, "training")
        loss = ListwiseLoss(within_budget(train, _MAX_ROWS, self.seed))
        prior = loss.best_multiple(_mean_direction(train.inputs.feature_names))
        weights, best_quality = prior, -np.inf
        for penalty in _PENALTIES:
            weights = prior if penalty == np.inf else loss.minimum(weights, prior, penalty)
            original = loss.unscaled(weights)
            quality = mean_ndcg(weighted_scores(validation.inputs, original), validation)
            if quality > best_quality:
                best_quality, self.weights_, self.penalty_ = quality, original, penalty
        self.feature_names_ = train.inputs.feature_names
        return self


def _mean_direction(feature_names: tuple[str, ...]) -> _Doubles:
    """Weights ``[n_features]`` of the mean of the standardised scores; zeros without such features."""
    chosen: _Doubles = np.array([name.endswith(STANDARDISED) for name in feature_names], np.float64)
    chosen /= max(chosen.sum(), 1.0)
    return chosen


class ListwiseLoss:
    """Mean listwise softmax cross-entropy of linear scores and its gradient.

    Works on features divided by their standard deviation, so that one penalty suits them all.

    Args:
        examples: Lists; those without a played track are left out.
    """

    def __init__(self, examples: RankingExamples) -> None:
        useful = np.flatnonzero((examples.labels[..., 0] > 0).any(axis=1)).astype(np.int32)
        examples = examples.take(useful)
        present = examples.inputs.present
        features = examples.inputs.features
        deviation = features[present].std(axis=0, dtype=np.float64)
        self._scale = np.where(deviation > 0, deviation, 1.0)
        self._features = features.reshape(-1, features.shape[-1])
        self._padded: BoolArray = ~present
        played = np.where(present, examples.labels[..., 0] > 0, 0.0)
        self._target: _Doubles = played / played.sum(axis=1, keepdims=True)

    def __call__(self, weights: _Doubles) -> tuple[float, _Doubles]:
        """Loss and its gradient ``[n_features]`` at ``weights`` of the scaled features."""
        scores = (self._features @ self.unscaled(weights)).astype(np.float64).reshape(self._target.shape)
        scores[self._padded] = -np.inf
        scores -= scores.max(axis=1, keepdims=True)
        exponentials = np.exp(scores)
        total = exponentials.sum(axis=1, keepdims=True)
        scores[self._padded] = 0.0
        n_lists = len(total)
        loss = (np.log(total).sum() - (self._target * scores).sum()) / n_lists
        error = (exponentials / total - self._target).astype(np.float32).ravel()
        return float(loss), (error @ self._features).astype(np.float64) / (self._scale * n_lists)

    def unscaled(self, weights: _Doubles) -> FloatArray:
        """Weights for the features as they were given."""
        original: FloatArray = (weights / self._scale).astype(np.float32)
        return original

    def best_multiple(self, direction: _Doubles) -> _Doubles:
        """The multiple of ``direction`` (weights of the features as given) with the least loss, scaled."""
        scaled = direction * self._scale

        def along(multiple: _Doubles) -> tuple[float, _Doubles]:
            loss, gradient = self(multiple[0] * scaled)
            return loss, np.array([gradient @ scaled])

        found = minimize(along, np.ones(1), jac=True, method="L-BFGS-B", bounds=[(0.0, None)])
        return np.asarray(found.x[0] * scaled, np.float64)

    def minimum(self, start: _Doubles, prior: _Doubles, penalty: float) -> _Doubles:
        """Weights that minimise ``loss + penalty / 2 * |weights - prior|^2`` by L-BFGS."""

        def penalised(weights: _Doubles) -> tuple[float, _Doubles]:
            loss, gradient = self(weights)
            away = weights - prior
            return loss + penalty / 2 * float(away @ away), gradient + penalty * away

        found = minimize(
            penalised, start, jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-8}
        )
        return np.asarray(found.x, np.float64)
