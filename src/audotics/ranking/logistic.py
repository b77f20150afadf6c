"""LogisticRanker: scikit-learn's logistic regression on single candidates, the classic first model."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from audotics.domain import FloatArray
from audotics.ranking.checks import check_positives
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg
from audotics.ranking.sampling import pointwise, within_budget
from audotics.ranking.weighted import WeightedRanker, weighted_scores

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Values of ``C`` tried, strongest penalty first."""
_MAX_ROWS = 200_000


class LogisticRanker(WeightedRanker):
    """P(played | features) by L2-regularised logistic regression; ``C`` chosen on the validation lists.

    Only the weights are kept: the intercept cannot change an order.

    Args:
        seed: Chooses the sampled negatives where the lists are too many to use whole.
    """

    name: ClassVar[str] = "logistic"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Fit each strength and keep the one with the best NDCG@20 on ``validation``.

        Raises:
            BadInputError: No list holds a played track.
        """
        # Learning only: loading and scoring must not need this library.
        from sklearn.linear_model import LogisticRegression

        check_positives(train, "training")
        features, played = pointwise(within_budget(train, _MAX_ROWS, self.seed))
        model = LogisticRegression(max_iter=200, warm_start=True)
        best: tuple[float, FloatArray] | None = None
        for strength in _STRENGTHS:
            weights = model.set_params(C=strength).fit(features, played).coef_[0].astype(np.float32)
            quality = mean_ndcg(weighted_scores(validation.inputs, weights), validation)
            if best is None or quality > best[0]:
                best = quality, weights
        assert best is not None  # noqa: S101  the grid is a constant and not empty
        self.weights_, self.feature_names_ = best[1], train.inputs.feature_names
        return self
