"""HeadModel: the chance of each reaction to each candidate, whichever ranker gives the order."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from audotics.domain import FloatArray
from audotics.errors import DamagedError, NotFittedError
from audotics.ranking.calibration import fit_sigmoid, sigmoid
from audotics.ranking.checks import check_feature_names, check_positives
from audotics.ranking.protocol import HEADS, RankingExamples, RankingInputs
from audotics.ranking.sampling import within_budget
from audotics.ranking.storage import read_array, read_settings, write_state

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Values of ``C`` tried, strongest penalty first."""
_MAX_ROWS = 200_000
_LEAST = 10
"""Fewer candidates that got a reaction, or that did not, teach nothing about it."""


class HeadModel:
    """P(reaction | features) by one logistic regression for each head, calibrated on other lists.

    Whether a track was completed, liked or skipped is known only where the listener heard it: those
    probabilities are given that it is played, and tell nothing of whether it would be. The play head is
    fitted on sampled candidates, so its level is wrong until Platt's sigmoid, fitted on whole lists,
    sets it right; the sigmoid is folded into the weights, which are all that is kept.

    Args:
        seed: Chooses the sampled negatives where the lists are too many to use whole.
        heads: Which to learn.
    """

    name: ClassVar[str] = "heads"
    heads_: tuple[str, ...]
    feature_names_: tuple[str, ...]
    weights_: FloatArray
    intercepts_: FloatArray

    def __init__(self, seed: int = 0, heads: tuple[str, ...] = HEADS) -> None:
        self.seed, self.heads = seed, heads

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Learn every head that ``train`` knows enough of; the others are left out.

        Args:
            train: Lists to learn from.
            validation: Lists of other listeners, for the strength of the penalty and the calibration.

        Raises:
            BadInputError: No list of ``train`` holds a played track.
        """
        check_positives(train, "training")
        sampled = within_budget(train, _MAX_ROWS, self.seed)
        found = {}
        for place, head in enumerate(train.heads):
            if head not in self.heads:
                continue
            features, happened = _known(sampled, place)
            if place == 0 or min(happened.sum(), (~happened).sum()) >= _LEAST:
                found[head] = _calibrated(features, happened, *_known(validation, place))
        self.heads_, self.feature_names_ = tuple(found), train.inputs.feature_names
        weights = np.array([weights for weights, _ in found.values()], np.float32)
        self.weights_ = weights.reshape(len(found), len(self.feature_names_))
        self.intercepts_ = np.array([intercept for _, intercept in found.values()], np.float32)
        return self

    def probabilities(self, inputs: RankingInputs) -> dict[str, FloatArray]:
        """Calibrated chance of each reaction by head ``[n_lists, width]``; 0 where padded.

        Raises:
            NotFittedError: Called before `fit` or `load`.
            BadInputError: Features are not those of training.
        """
        if not hasattr(self, "weights_"):
            raise NotFittedError("HeadModel")
        check_feature_names(inputs, self.feature_names_)
        chances = sigmoid(inputs.features @ self.weights_.T + self.intercepts_).astype(np.float32)
        chances[~inputs.present] = 0.0
        return {head: chances[..., place] for place, head in enumerate(self.heads_)}

    def save(self, folder: Path) -> None:
        """Write names and weights into an existing empty folder."""
        if not hasattr(self, "weights_"):
            raise NotFittedError("HeadModel")
        settings = {
            "ranker": self.name,
            "feature_names": list(self.feature_names_),
            "heads": list(self.heads_),
        }
        write_state(folder, settings, {"weights": self.weights_, "intercepts": self.intercepts_})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; scikit-learn is not imported.

        Raises:
            DamagedError: A file is missing, damaged or of something else.
        """
        settings = read_settings(folder, cls.name)
        model = cls()
        try:
            model.heads_, model.feature_names_ = tuple(settings["heads"]), tuple(settings["feature_names"])
        except KeyError as error:
            raise DamagedError("the settings of the heads are incomplete", where=str(folder)) from error
        model.weights_ = read_array(folder, "weights", ndim=2).astype(np.float32)
        model.intercepts_ = read_array(folder, "intercepts", ndim=1).astype(np.float32)
        expected = len(model.heads_), len(model.feature_names_)
        if model.weights_.shape != expected or len(model.intercepts_) != len(model.heads_):
            raise DamagedError(f"weights {model.weights_.shape} instead of {expected}", where=str(folder))
        return model


def _known(examples: RankingExamples, place: int) -> tuple[FloatArray, np.ndarray]:
    """Features ``[n, n_features]`` and outcome ``[n]`` of the candidates whose reaction is known."""
    labels = examples.labels[..., place]
    known = examples.inputs.present & ~np.isnan(labels)
    return examples.inputs.features[known], labels[known] > 0


def _calibrated(
    features: FloatArray, happened: np.ndarray, held_features: FloatArray, held_happened: np.ndarray
) -> tuple[np.ndarray, float]:
    """Weights ``[n_features]`` and intercept of the log odds.

    The penalty with the least log loss on the held-out candidates wins; Platt's sigmoid on the same
    candidates then stretches and shifts it. Without held-out outcomes of both classes it stays as it is.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200, warm_start=True)
    best: tuple[float, np.ndarray, float] | None = None
    for strength in _STRENGTHS:
        model.set_params(C=strength).fit(features, happened)
        logits = held_features @ model.coef_[0] + model.intercept_[0]
        slope, shift = fit_sigmoid(logits, held_happened)
        loss = _log_loss(slope * logits + shift, held_happened)
        if best is None or loss < best[0]:
            best = loss, slope * model.coef_[0], float(slope * model.intercept_[0] + shift)
    assert best is not None  # noqa: S101  the grid is a constant and not empty
    return best[1], best[2]


def _log_loss(logits: np.ndarray, happened: np.ndarray) -> float:
    return float((np.logaddexp(0.0, logits) - happened * logits).sum())
