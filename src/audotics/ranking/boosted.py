"""BoostedRanker: gradient-boosted trees on single candidates, the tabular rival of the deep ranker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from audotics.domain import FloatArray, IndexArray
from audotics.errors import DamagedError, NotFittedError
from audotics.ranking.batches import Runtime
from audotics.ranking.calibration import log_share
from audotics.ranking.checks import check_feature_names, check_positives
from audotics.ranking.forest import Forest
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.ranking.sampling import pointwise, within_budget
from audotics.ranking.storage import read_array, read_settings, write_state
from audotics.ranking.trees import LEAF, Trees, rounded_down

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

SHARE = "linear:share"
"""Name of what the trees read beside the features."""

_MAX_ROWS = 200_000


class BoostedRanker:
    """P(played | features) by scikit-learn's histogram gradient boosting, kept small on purpose.

    Trees overfit lists of few listeners, so leaves are large, steps short, leaf values shrunk,
    and growing stops when the log loss on the validation lists no longer falls. Only fitting needs
    scikit-learn: the trees are kept and scored as plain arrays.

    Beside the features the trees read each candidate's share of its list by the linear ranker: what a
    sum of weights says at once would cost them many splits, each learned from fewer candidates.

    Args:
        seed: Chooses sampled negatives and the feature subsets of splits.
    """

    name: ClassVar[str] = "boosted"
    trees_: Trees
    baseline_: float
    weights_: FloatArray
    feature_names_: tuple[str, ...]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Grow trees on ``train`` until ``validation`` says stop.

        Raises:
            BadInputError: No list holds a played track.
        """
        # Learning only: loading and scoring must not need these libraries.
        from sklearn.ensemble import HistGradientBoostingClassifier

        from audotics.ranking.linear import LinearRanker

        check_positives(train, "training")
        check_positives(validation, "validation")
        weights = LinearRanker(self.seed).fit(train, validation).weights_
        features, played = self._rows(train, weights)
        held_features, held_played = self._rows(validation, weights)
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
        self._keep(*trees_of(model), weights, train.inputs.feature_names)
        return self

    def _rows(self, examples: RankingExamples, weights: FloatArray) -> tuple[FloatArray, IndexArray]:
        """What the trees read of single candidates, and whether they were played."""
        inputs = examples.inputs
        # Shares are of whole lists, so they come before candidates are left out.
        share = np.where(inputs.present, linear_share(inputs, weights), 0.0)[..., None].astype(np.float32)
        widened = replace(
            inputs,
            features=np.concatenate([inputs.features, share], axis=2),
            feature_names=(*inputs.feature_names, SHARE),
        )
        return pointwise(within_budget(replace(examples, inputs=widened), _MAX_ROWS, self.seed))

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
        share = linear_share(inputs, self.weights_)
        if present.all():
            n_rows, n_features = present.size, inputs.features.shape[2]
            rows = np.empty((n_rows, n_features + 1), np.float32, order="F")
            rows[:, :n_features] = inputs.features.reshape(n_rows, n_features)
            rows[:, n_features] = share.ravel()
            return self._forest.sums(rows).astype(np.float32).reshape(present.shape)
        scores = np.full(present.shape, -np.inf, np.float32)
        if present.any():
            rows = np.column_stack([inputs.features[present], share[present]])
            scores[present] = self._forest.sums(rows)
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
        columns = {name: getattr(self.trees_, name) for name in _COLUMNS}
        write_state(folder, settings, {**columns, "weights": self.weights_})

    @classmethod
    def load(cls, folder: Path, runtime: Runtime | None = None) -> Self:
        """Read what `save` wrote; nothing in it needs a runtime.

        Raises:
            DamagedError: A file is missing, damaged or of another ranker, or the nodes are no trees.
        """
        settings = read_settings(folder, cls.name)
        names = tuple(settings["feature_names"])
        trees = Trees(**{name: read_array(folder, name, 1).astype(kind) for name, kind in _COLUMNS.items()})
        problem = trees.problem(len(names) + 1)
        if problem:
            raise DamagedError(f"the boosted trees are broken: {problem}", where=str(folder))
        weights = read_array(folder, "weights", 1).astype(np.float32)
        if len(weights) != len(names):
            raise DamagedError(f"{len(weights)} weights for {len(names)} features", where=str(folder))
        ranker = cls()
        try:
            ranker._keep(trees, float(settings["baseline"]), weights, names)
        except ValueError as error:
            raise DamagedError(f"the boosted trees are broken: {error}", where=str(folder)) from error
        return ranker

    def _keep(
        self, trees: Trees, baseline: float, weights: FloatArray, feature_names: tuple[str, ...]
    ) -> None:
        self.trees_, self.baseline_ = trees, baseline
        self.weights_, self.feature_names_ = weights, feature_names
        self._forest = Forest(trees, baseline)


_COLUMNS = {
    "feature": np.int32,
    "threshold": np.float32,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
}
"""Columns of `Trees`, as they are stored."""


def linear_share(inputs: RankingInputs, weights: FloatArray) -> FloatArray:
    """Log of each candidate's share of its list by a weighted sum ``[n_lists, width]``; -inf where padded.

    Summed in double precision: rounding that depends on how many lists are scored at once must not push
    a candidate over the threshold of a tree.
    """
    sums = inputs.features.astype(np.float64) @ weights.astype(np.float64)
    return log_share(np.where(inputs.present, sums, -np.inf))


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
