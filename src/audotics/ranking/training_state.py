"""Where the training of a deep ranker stands: curves, best weights, and what it takes to go on later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audotics.checkpoints import Checkpoints, assign_values, values_of
from audotics.ranking.model import DeepRecommender


@dataclass(slots=True)
class TrainingHistory:
    """Learning curves of one fit; entry 0 of ``validation_ndcg`` is the linear model before training.

    Args:
        pretraining_loss: Validation loss of the two-tower model after each pass.
        loss: Mean training loss of each pass.
        validation_ndcg: NDCG@20 on the validation lists before training and after each pass.
    """

    pretraining_loss: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    validation_ndcg: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """Passes after which the kept weights were reached; 0 keeps the linear model."""
        return int(np.argmax(self.validation_ndcg))


_CURVES = ("pretraining_loss", "loss", "validation_ndcg")


class TrainingState:
    """Best weights so far, and checkpoints of everything that the next pass depends on.

    A run that finds a checkpoint stands, once this is made, where training on lists began (its weights
    differ, but not the vectors that lists leave alone); `resume` then takes it to where it was left.

    Args:
        model: What is trained.
        history: Its curves.
        checkpoints: Where passes are kept, if anywhere.
    """

    def __init__(
        self, model: DeepRecommender, history: TrainingHistory, checkpoints: Checkpoints | None
    ) -> None:
        self._model = model
        self._history = history
        self._checkpoints = checkpoints
        self._saved = None if checkpoints is None else checkpoints.load()
        if self._saved is None:
            self._begin = values_of(self._chances, "begin")
        else:
            assign_values(model.trainable_variables, "weights", self._saved)
            assign_values(self._chances, "begin", self._saved)
            self._begin = {name: value for name, value in self._saved.items() if name.startswith("begin.")}
        self.best = self.weights()

    def weights(self) -> list[Any]:
        """The weights of now."""
        return [variable.numpy() for variable in self._model.trainable_variables]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Give the model such weights."""
        for variable, value in zip(self._model.trainable_variables, values, strict=True):
            variable.assign(value)

    def resume(self, optimizer_variables: Sequence[Any]) -> bool:
        """Go to where the run was left that the checkpoint is of; whether there is one."""
        if self._saved is None:
            return False
        assign_values(self._chances, "chances", self._saved)
        assign_values(optimizer_variables, "optimizer", self._saved)
        self.best = [self._saved[f"best.{place}"] for place in range(len(self.best))]
        for name in _CURVES:
            getattr(self._history, name)[:] = self._saved[name].tolist()
        self._saved = None
        return True

    def judged(self, ndcg: float) -> None:
        """Note how good the weights of now are, and keep them if they are the best."""
        self._history.validation_ndcg.append(ndcg)
        if self._history.best_epoch == len(self._history.validation_ndcg) - 1:
            self.best = self.weights()

    def keep(self, optimizer_variables: Sequence[Any]) -> None:
        """Write a checkpoint, where that is wanted."""
        if self._checkpoints is None:
            return
        state = {f"best.{place}": value for place, value in enumerate(self.best)}
        state |= {name: np.array(getattr(self._history, name), np.float64) for name in _CURVES}
        state |= values_of(self._model.trainable_variables, "weights")
        state |= values_of(self._chances, "chances") | self._begin
        state |= values_of(optimizer_variables, "optimizer")
        self._checkpoints.save(state)

    @property
    def _chances(self) -> list[Any]:
        """What the noise of dropout counts on from."""
        weights = {id(variable) for variable in self._model.weights}
        return [variable for variable in self._model.variables if id(variable) not in weights]
