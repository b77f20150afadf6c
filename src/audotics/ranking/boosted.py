"""BoostedRanker: gradient-boosted trees on single candidates, the tabular rival of the deep ranker."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier

from audotics.domain import FloatArray
from audotics.errors import DamagedError, NotFittedError
from audotics.ranking.checks import check_feature_names, check_positives
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.ranking.sampling import pointwise, within_budget
from audotics.ranking.storage import read_settings, write_state

TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""Types beyond the defaults of skops that a saved model may hold; never taken from the file."""

_MODEL = "model.skops"
_MAX_ROWS = 200_000


class BoostedRanker:
    """P(played | features) by scikit-learn's histogram gradient boosting, kept small on purpose.

    Trees overfit lists of few listeners, so leaves are large, steps short, leaf values shrunk,
    and growing stops when the log loss on the validation lists no longer falls.

    Args:
        seed: Chooses sampled negatives and the feature subsets of splits.
    """

    name: ClassVar[str] = "boosted"
    model_: HistGradientBoostingClassifier
    feature_names_: tuple[str, ...]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Grow trees on ``train`` until ``validation`` says stop.

        Raises:
            BadInputError: No list holds a played track.
        """
        check_positives(train, "training")
        check_positives(validation, "validation")
        features, played = pointwise(within_budget(train, _MAX_ROWS, self.seed))
        held_features, held_played = pointwise(within_budget(validation, _MAX_ROWS, self.seed))
        model = HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_iter=150,
            max_leaf_nodes=15,
            min_samples_leaf=100,
            l2_regularization=10.0,
            max_features=0.5,
            early_stopping=True,
            n_iter_no_change=10,
            random_state=self.seed,
        )
        self.model_ = model.fit(features, played, X_val=held_features, y_val=held_played)
        self.feature_names_ = train.inputs.feature_names
        return self

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Log odds of a play ``[n_lists, width]``, -inf where padded.

        Raises:
            NotFittedError: Called before `fit`.
            BadInputError: Features are not those of training.
        """
        if not hasattr(self, "model_"):
            raise NotFittedError("BoostedRanker")
        check_feature_names(inputs, self.feature_names_)
        present = inputs.present
        scores = np.full(present.shape, -np.inf, np.float32)
        if present.any():
            scores[present] = self.model_.decision_function(inputs.features[present])
        return scores

    def save(self, folder: Path) -> None:
        """Write names and trees into an existing empty folder."""
        if not hasattr(self, "model_"):
            raise NotFittedError("BoostedRanker")
        write_state(folder, {"ranker": self.name, "feature_names": list(self.feature_names_)}, {})
        skops.io.dump(self.model_, folder / _MODEL)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; types outside `TRUSTED_TYPES` are refused before anything is built.

        Raises:
            DamagedError: A file is missing, damaged, of another ranker or holds a foreign type.
        """
        ranker = cls()
        ranker.feature_names_ = tuple(read_settings(folder, cls.name)["feature_names"])
        path = folder / _MODEL
        try:
            model = skops.io.load(path, trusted=list(TRUSTED_TYPES))
        except Exception as error:  # skops raises many types on damaged or foreign files
            raise DamagedError("the boosted model cannot be read", where=str(path)) from error
        if not isinstance(model, HistGradientBoostingClassifier):
            raise DamagedError("the file holds no boosted model", where=str(path))
        ranker.model_ = model
        return ranker
