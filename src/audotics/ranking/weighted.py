"""Rankers whose score is a weighted sum of the features; they differ in how they find the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from audotics.domain import FloatArray
from audotics.errors import BadInputError, DamagedError, NotFittedError
from audotics.ranking.batches import Runtime
from audotics.ranking.checks import check_feature_names
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.ranking.storage import read_array, read_settings, write_state

STANDARDISED = ":z"
"""Ending of the names of the retrievers' standardised scores."""


class WeightedRanker(ABC):
    """Base: holds ``weights_ [n_features]`` for ``feature_names_``, scores, saves and loads."""

    name: ClassVar[str]
    weights_: FloatArray
    feature_names_: tuple[str, ...]

    @abstractmethod
    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Find the weights."""

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Weighted sum of the features ``[n_lists, width]``, -inf where padded.

        Raises:
            NotFittedError: Called before `fit`.
            BadInputError: Features are not those of training.
        """
        if not hasattr(self, "weights_"):
            raise NotFittedError(type(self).__name__)
        check_feature_names(inputs, self.feature_names_)
        return weighted_scores(inputs, self.weights_)

    def save(self, folder: Path) -> None:
        """Write names and weights into an existing empty folder."""
        if not hasattr(self, "weights_"):
            raise NotFittedError(type(self).__name__)
        settings = {"ranker": self.name, "feature_names": list(self.feature_names_)}
        write_state(folder, settings, {"weights": self.weights_})

    @classmethod
    def load(cls, folder: Path, runtime: Runtime | None = None) -> Self:
        """Read what `save` wrote; nothing in it needs a runtime.

        Raises:
            DamagedError: A file is missing, damaged or of another ranker.
        """
        names = tuple(read_settings(folder, cls.name)["feature_names"])
        weights = read_array(folder, "weights", ndim=1).astype(np.float32)
        if len(weights) != len(names):
            raise DamagedError(f"{len(weights)} weights for {len(names)} features", where=str(folder))
        ranker = cls()
        ranker.weights_, ranker.feature_names_ = weights, names
        return ranker


def weighted_scores(inputs: RankingInputs, weights: FloatArray) -> FloatArray:
    """``features @ weights`` as ``[n_lists, width]``, -inf where padded."""
    scores: FloatArray = (inputs.features @ weights).astype(np.float32, copy=False)
    scores[~inputs.present] = -np.inf
    return scores


def standardised_places(feature_names: tuple[str, ...]) -> list[int]:
    """Places of the retrievers' standardised scores among the features.

    Raises:
        BadInputError: There are none.
    """
    places = [place for place, name in enumerate(feature_names) if name.endswith(STANDARDISED)]
    if not places:
        raise BadInputError(
            f"no ranking feature ends in {STANDARDISED!r}",
            where="feature_names",
            remedy="Give the standardised score of at least one retriever",
        )
    return places
