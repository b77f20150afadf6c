"""SingleRanker: trust the one retriever that orders the validation lists best."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg
from audotics.ranking.weighted import WeightedRanker, standardised_places, weighted_scores


class SingleRanker(WeightedRanker):
    """One ``:z`` feature, chosen by NDCG@20 on the validation lists; the first of equals."""

    name: ClassVar[str] = "single"

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Choose the feature."""
        names = train.inputs.feature_names
        choices = np.eye(len(names), dtype=np.float32)[standardised_places(names)]
        quality = [mean_ndcg(weighted_scores(validation.inputs, choice), validation) for choice in choices]
        self.weights_, self.feature_names_ = choices[int(np.argmax(quality))], names
        return self

    @property
    def feature(self) -> str:
        """Name of the chosen feature."""
        return self.feature_names_[int(np.argmax(self.weights_))]
