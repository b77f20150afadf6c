"""MeanRanker: the plain mean of the retrievers' standardised scores, hard to beat where they are equals."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from audotics.ranking.protocol import RankingExamples
from audotics.ranking.weighted import WeightedRanker, standardised_places


class MeanRanker(WeightedRanker):
    """Mean of the ``:z`` features; nothing is learned from the lists but the names."""

    name: ClassVar[str] = "mean"

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Remember which features are standardised scores."""
        return self.over(train.inputs.feature_names)

    def over(self, names: tuple[str, ...]) -> Self:
        """Fitted without lists: the names of the features say everything."""
        places = standardised_places(names)
        weights = np.zeros(len(names), np.float32)
        weights[places] = 1 / len(places)
        self.weights_, self.feature_names_ = weights, names
        return self
