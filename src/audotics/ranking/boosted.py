"""BoostedRanker: gradient-boosted trees on single candidates, the tabular rival of the deep ranker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from audotics.domain import FloatArray
from audotics.errors import DamagedError, NotFittedError
from audotics.ranking.checks import check_feature_names, check_positives
from audotics.ranking.forest import Forest
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.ranking.sampling import pointwise, within_budget
from audotics.ranking.storage import read_array, read_settings, write_state
from audotics.ranking.trees import LEAF, Trees, rounded_down

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

_MAX_ROWS = 200_000


class BoostedRanker:
    """P(played | features) by scikit-learn's histogram gradient boosting, kept small on purpose.

    Trees overfit lists of few listeners, so leaves are large, steps short, leaf values shrunk,
    and growing stops when the log loss on the validation lists no longer falls. Only fitting needs
    scikit-learn: the trees are kept and scored as plain arrays.

    Args:
        seed: Chooses sampled negatives and the feature subsets of splits.
    """

    name: ClassVar[str] = "boosted"
    trees_: Trees
    baseline_: float
    feature_names_: tuple[str, ...]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Grow trees on ``train`` until ``validation`` says stop.

        Raises:
            BadInputError: No list holds a played track.
        """
        # Learning only: loading and scoring must not need this library.
        from sklearn.ensemble import HistGradientBoostingClassifier

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
        model.fit(features, played, X_val=held_features, y_val=held_played)
        self._keep(*trees_of(model), train.inputs.feature_names)
        return self

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Log odds of a play ``[n_lists, width]``, -inf where padded.

        Raises:
            NotFittedError: Called before `fit`.
            BadInputError: Features are not those of training.
        """
        if not hasattr(self, "trees_"):
            raise NotFittedError("BoostedRanker")
        check_feature_names(inputs, self.feature_names_)
        present = inputs.present
        scores = np.full(present.shape, -np.inf, np.float32)
        if present.any():
            scores[present] = self._forest.sums(inputs.features[present])
        return scores

    def save(self, folder: Path) -> None:
        """Write names and trees into an existing empty folder."""
        if not hasattr(self, "trees_"):
            raise NotFittedError("BoostedRanker")
        settings = {
            "ranker": self.name,
            "feature_names": list(self.feature_names_),
            "baseline": self.baseline_,
        }
        write_state(folder, settings, {name: getattr(self.trees_, name) for name in _COLUMNS})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DamagedError: A file is missing, damaged or of another ranker, or the nodes are no trees.
        """
        settings = read_settings(folder, cls.name)
        names = tuple(settings["feature_names"])
        trees = Trees(**{name: read_array(folder, name, 1).astype(kind) for name, kind in _COLUMNS.items()})
        problem = trees.problem(len(names))
        if problem:
            raise DamagedError(f"the boosted trees are broken: {problem}", where=str(folder))
        ranker = cls()
        try:
            ranker._keep(trees, float(settings["baseline"]), names)
        except ValueError as error:
            raise DamagedError(f"the boosted trees are broken: {error}", where=str(folder)) from error
        return ranker

    def _keep(self, trees: Trees, baseline: float, feature_names: tuple[str, ...]) -> None:
        self.trees_, self.baseline_, self.feature_names_ = trees, baseline, feature_names
        self._forest = Forest(trees, baseline)


_COLUMNS = {
    "feature": np.int32,
    "threshold": np.float32,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
}
"""Columns of `Trees`, as they are stored."""


def trees_of(model: HistGradientBoostingClassifier) -> tuple[Trees, float]:
    """The trees of a fitted binary classifier, and the log odds that they start from.

    scikit-learn keeps them in attributes that are not public; a test holds our sums against its own.
    """
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    lengths = [len(part) for part in nodes]
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    every = np.concatenate(nodes)
    leaf = every["is_leaf"].astype(np.bool_)
    trees = Trees(
        feature=np.where(leaf, LEAF, every["feature_idx"]).astype(np.int32),
        threshold=rounded_down(np.where(leaf, 0.0, every["num_threshold"])),
        left=np.where(leaf, LEAF, every["left"] + first).astype(np.int32),
        right=np.where(leaf, LEAF, every["right"] + first).astype(np.int32),
        value=np.where(leaf, every["value"], 0.0),
    )
    return trees, float(model._baseline_prediction.item())
