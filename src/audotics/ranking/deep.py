"""DeepRanker: the deep model behind the same protocol as every other ranker.

Fitting needs TensorFlow; scoring a loaded ranker needs LiteRT alone. This module imports neither.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

import numpy as np
from pydantic import ValidationError

from audotics.domain import FloatArray
from audotics.errors import BadInputError, DamagedError, MissingExtraError, NotFittedError
from audotics.ranking.batches import Runtime, Scorer, head_logits
from audotics.ranking.calibration import fit_sigmoid, log_share, sigmoid
from audotics.ranking.checks import check_feature_names, check_positives
from audotics.ranking.config import ModelConfig, ModelShape, RankingWorld
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.ranking.runtimes.litert import LiteRTRuntime
from audotics.ranking.storage import read_settings, write_state

if TYPE_CHECKING:
    from audotics.ranking.fitting import FittedModel
    from audotics.ranking.model import DeepRecommender
    from audotics.ranking.training_state import TrainingHistory

LITERT = "model.tflite"

FitModel: TypeAlias = (
    "Callable[[ModelConfig, RankingWorld, RankingExamples, RankingExamples, FloatArray], FittedModel]"
)
"""Trains a model; `fitting.fit_model` does it in this process."""


class DeepRanker:
    """Fits a `DeepRecommender` on lists, scores with it, saves it for serving.

    Args:
        world: What is known of listeners and tracks; only `load` leaves it out.
        config: Settings.
        fit_model: What trains the model; None does it in this process.
    """

    name: ClassVar[str] = "deep"
    shape_: ModelShape
    feature_names_: tuple[str, ...]
    calibration_: dict[str, tuple[float, float]]
    history_: TrainingHistory
    model_: DeepRecommender

    def __init__(
        self,
        world: RankingWorld | None,
        config: ModelConfig | None = None,
        fit_model: FitModel | None = None,
    ) -> None:
        self.world = world
        self.config = config or ModelConfig()
        self._fit_model = fit_model
        self._scorer: Scorer | None = None
        self._folder: Path | None = None

    def fit(
        self, train: RankingExamples, validation: RankingExamples, weights: FloatArray | None = None
    ) -> Self:
        """Pre-train, start from a linear ranker, train, calibrate.

        Args:
            train: Lists to learn from.
            validation: Lists of other listeners, for early stopping and calibration.
            weights: ``[n_lists, width]`` of ``train``: how much each candidate counts, such as one over
                its chance to be shown. Default: all the same.

        Raises:
            MissingExtraError: TensorFlow is not installed.
            BadInputError: No list holds a played track, or this ranker was loaded from files.
        """
        if find_spec("tensorflow") is None:
            raise MissingExtraError("the deep ranker", "tensorflow")
        if self.world is None:
            raise BadInputError("a loaded deep ranker cannot be fitted", remedy="Make a new DeepRanker")
        check_positives(train, "training")
        check_positives(validation, "validation")
        from audotics.ranking.fitting import fit_model

        fit = self._fit_model or fit_model
        counts = np.ones(train.inputs.track_index.shape, np.float32) if weights is None else weights
        fitted = fit(self.config, self.world, train, validation, counts)
        self.model_, self._scorer, self.history_ = fitted.model, fitted.scorer, fitted.history
        self.shape_, self.feature_names_ = fitted.model.shape, train.inputs.feature_names
        self._folder = None
        self.calibration_ = {
            head: self._calibrate(head, validation, place) for place, head in enumerate(self.shape_.heads)
        }
        return self

    @property
    def folder(self) -> Path | None:
        """Where it was loaded from; None for one that was fitted here."""
        return self._folder

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Scores ``[n_lists, width]`` of the play head, -inf where padded.

        Raises:
            NotFittedError: Called before `fit` or `load`.
            BadInputError: Features are not those of training.
        """
        return self._logits(inputs, "play")

    def probabilities(self, inputs: RankingInputs) -> dict[str, FloatArray]:
        """Calibrated chance of each reaction by head ``[n_lists, width]``; 0 where padded."""
        return {head: self._probability(inputs, head) for head in self._fitted_heads()}

    def save(self, folder: Path) -> None:
        """Write settings, ``model.tflite``, ``saved_model/1/`` and ``model.keras`` into an empty folder."""
        self._fitted_heads()
        if self._folder is not None:
            shutil.copytree(self._folder, folder, dirs_exist_ok=True)
            return
        from audotics.ranking.export import export_model

        settings = {
            "ranker": self.name,
            "feature_names": list(self.feature_names_),
            "config": self.config.model_dump(mode="json"),
            "shape": self.shape_.model_dump(mode="json"),
            "calibration": {head: list(pair) for head, pair in self.calibration_.items()},
        }
        write_state(folder, settings, {})
        export_model(self.model_, folder)

    @classmethod
    def load(cls, folder: Path, runtime: Runtime | None = None) -> Self:
        """Ready to score; TensorFlow is not imported.

        Args:
            folder: Where it was saved.
            runtime: What scores; LiteRT if None.

        Raises:
            DamagedError: A file is missing, damaged or of another ranker.
            MissingExtraError: LiteRT is not installed.
        """
        settings = read_settings(folder, cls.name)
        try:
            ranker = cls(None, ModelConfig.model_validate(settings["config"]))
            ranker.shape_ = ModelShape.model_validate(settings["shape"])
            ranker.feature_names_ = tuple(settings["feature_names"])
            ranker.calibration_ = {head: (a, b) for head, (a, b) in settings["calibration"].items()}
        except (KeyError, ValidationError) as error:
            raise DamagedError("the deep ranker's settings are incomplete", where=str(folder)) from error
        if runtime is None:
            ranker._scorer = LiteRTRuntime(folder / LITERT)
        else:
            ranker._scorer = runtime(folder, ranker.shape_.heads)
        ranker._folder = folder
        return ranker

    def _fitted_heads(self) -> tuple[str, ...]:
        if self._scorer is None:
            raise NotFittedError("DeepRanker")
        return self.shape_.heads

    def _logits(self, inputs: RankingInputs, head: str) -> FloatArray:
        if self._scorer is None:
            raise NotFittedError("DeepRanker")
        check_feature_names(inputs, self.feature_names_)
        return head_logits(self._scorer, inputs, head)

    def _levelled(self, inputs: RankingInputs, head: str) -> FloatArray:
        logits = self._logits(inputs, head)
        return log_share(logits) if head == "play" else logits

    def _calibrate(self, head: str, validation: RankingExamples, place: int) -> tuple[float, float]:
        labels = validation.labels[..., place]
        known = validation.inputs.present & ~np.isnan(labels)
        return fit_sigmoid(self._levelled(validation.inputs, head)[known], labels[known] > 0)

    def _probability(self, inputs: RankingInputs, head: str) -> FloatArray:
        slope, intercept = self.calibration_[head]
        levelled = np.where(inputs.present, self._levelled(inputs, head), 0.0)
        chance = np.where(inputs.present, sigmoid(slope * levelled + intercept), 0.0)
        return chance.astype(np.float32)
