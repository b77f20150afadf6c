"""Training of the deep ranker: its own step, early stopping on the order of the validation lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from audotics.domain import FloatArray
from audotics.lazy_adam import LazyAdam
from audotics.ranking.batches import Scorer, head_logits
from audotics.ranking.config import ModelConfig
from audotics.ranking.export import input_signature
from audotics.ranking.feeding import ListFeed, class_balance
from audotics.ranking.losses import listwise_softmax, masked_cross_entropy
from audotics.ranking.model import DeepRecommender, TensorMap
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg


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


class TrainStep:
    """One step on one batch.

    A plain function of tensors and variables: run it inside `tf.function`, alone or through
    ``strategy.run`` with the model and the optimizer made in the strategy's scope. Losses are divided
    by ``global_batch``, so that summed gradients of several replicas equal those of one.

    Args:
        model: What is trained.
        optimizer: What moves the weights.
        balance: ``[n_heads - 1, 2]``, see `class_balance`.
        global_batch: Lists of one step over all replicas.
    """

    def __init__(
        self, model: DeepRecommender, optimizer: LazyAdam, balance: FloatArray, global_batch: int
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._balance = tf.constant(balance)
        self._global_batch = float(global_batch)
        optimizer.build(model.trainable_variables)

    def __call__(self, batch: TensorMap) -> tf.Tensor:
        """Move the weights; returns this replica's share of the loss."""
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._loss(batch)
            penalty = tf.add_n([tf.nn.l2_loss(kernel) for kernel in self._model.dense_kernels()])
            share = tf.cast(tf.shape(batch["labels"])[0], tf.float32) / self._global_batch
            objective = loss + self._model.config.l2 * share * penalty
        gradients = tape.gradient(objective, variables)
        known = [
            (grad, variable) for grad, variable in zip(gradients, variables, strict=True) if grad is not None
        ]
        self._optimizer.apply(*map(list, zip(*known, strict=True)))
        return loss

    def _loss(self, batch: TensorMap) -> tf.Tensor:
        labels, weights = batch["labels"], batch["weights"]
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "weights")}
        logits = self._model(inputs, training=True)
        present = batch["track_index"] >= 0
        by_list = listwise_softmax(logits["play"], labels[..., 0], present, weights)
        others = self._model.shape.heads[1:]
        if others:
            stacked = tf.stack([logits[head] for head in others], axis=-1)
            entropy = masked_cross_entropy(stacked, labels[..., 1:], present, weights, self._balance)
            by_list += self._model.config.head_weight * tf.reduce_sum(entropy, axis=1)
        return tf.reduce_sum(by_list) / self._global_batch


def fit_lists(
    model: DeepRecommender,
    train: RankingExamples,
    validation: RankingExamples,
    weights: FloatArray,
    history: TrainingHistory,
) -> None:
    """Train until the validation NDCG@20 no longer rises, and keep the best weights.

    Args:
        model: Started from a linear ranker.
        train: Lists to learn from.
        validation: Lists of other listeners, to stop by.
        weights: ``[n_lists, width]`` of ``train``, how much each candidate counts.
        history: Filled with the learning curves.
    """
    config: ModelConfig = model.config
    feed = ListFeed(train, weights, config)
    optimizer = LazyAdam(config.learning_rate)
    step = tf.function(TrainStep(model, optimizer, class_balance(train), feed.batch_size))
    scorer = traced_scorer(model)
    history.validation_ndcg.append(_quality(scorer, validation))
    best = _snapshot(model)
    for epoch in range(config.epochs):
        losses = [float(step(batch)) for batch in feed.epoch(epoch)]
        history.loss.append(float(np.mean(losses)))
        history.validation_ndcg.append(_quality(scorer, validation))
        if history.best_epoch == epoch + 1:
            best = _snapshot(model)
        elif epoch + 1 - history.best_epoch >= config.patience:
            break
    for variable, value in zip(model.trainable_variables, best, strict=True):
        variable.assign(value)


def traced_scorer(model: DeepRecommender) -> Scorer:
    """The model as a function of arrays, traced once for every batch and width."""
    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in input_signature(model.shape).items()
    }
    graph = tf.function(lambda inputs: model(inputs, training=False), input_signature=[specs])
    return lambda inputs: {head: logits.numpy() for head, logits in graph(inputs).items()}


def _quality(scorer: Scorer, validation: RankingExamples) -> float:
    return mean_ndcg(head_logits(scorer, validation.inputs, "play"), validation)


def _snapshot(model: DeepRecommender) -> list[Any]:
    return [variable.numpy() for variable in model.trainable_variables]
