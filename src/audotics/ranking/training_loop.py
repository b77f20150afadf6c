"""Training of the deep ranker: its own step, early stopping on the order of the validation lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from audotics.checkpoints import Checkpoints
from audotics.domain import FloatArray
from audotics.lazy_adam import LazyAdam
from audotics.ranking.batches import Scorer, model_inputs, parts
from audotics.ranking.config import ModelConfig
from audotics.ranking.export import input_signature
from audotics.ranking.feeding import ListFeed, class_balance
from audotics.ranking.losses import listwise_softmax, masked_cross_entropy
from audotics.ranking.model import DeepRecommender, TensorMap
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg
from audotics.ranking.training_state import TrainingHistory, TrainingState
from audotics.replicas import Replicas


class TrainStep:
    """One step on one batch.

    A plain function of tensors and variables: run it inside `tf.function`, alone or through
    ``strategy.run`` with the model and this object made in the strategy's scope. Losses are divided
    by ``global_batch``, so that summed gradients of several replicas equal those of one.

    Args:
        model: What is trained; its vectors move in steps smaller by ``embedding_rate``, or not at all.
        balance: ``[n_heads - 1, 2]``, see `class_balance`.
        global_batch: Lists of one step over all replicas.
    """

    def __init__(self, model: DeepRecommender, balance: FloatArray, global_batch: int) -> None:
        self._model = model
        self._balance = tf.constant(balance)
        self._global_batch = float(global_batch)
        config: ModelConfig = model.config
        vectors = {id(variable) for variable in model.vector_variables()}
        dense = [variable for variable in model.trainable_variables if id(variable) not in vectors]
        self._averaged = LazyAdam(
            config.learning_rate, use_ema=config.averaging > 0, ema_momentum=config.averaging
        )
        self._groups = [(self._averaged, dense)]
        if config.embedding_rate:
            rate = config.learning_rate * config.embedding_rate
            self._groups.append((LazyAdam(rate), model.vector_variables()))
        for optimizer, variables in self._groups:
            optimizer.build(variables)

    @property
    def variables(self) -> list[Any]:
        """State of the optimizers."""
        return [variable for optimizer, _ in self._groups for variable in optimizer.variables]

    def average(self) -> None:
        """Put the running mean of the last steps' dense weights into the model (Polyak and Juditsky 1992)."""
        self._averaged.finalize_variable_values(self._groups[0][1])

    def __call__(self, batch: TensorMap) -> tf.Tensor:
        """Move the weights; returns this replica's share of the loss."""
        moved = [variable for _, variables in self._groups for variable in variables]
        with tf.GradientTape() as tape:
            loss = self._loss(batch)
            penalty = tf.add_n([tf.nn.l2_loss(kernel) for kernel in self._model.dense_kernels()])
            share = tf.cast(tf.shape(batch["labels"])[0], tf.float32) / self._global_batch
            objective = loss + self._model.config.l2 * share * penalty
        gradients = iter(tape.gradient(objective, moved))
        for optimizer, variables in self._groups:
            pairs = zip([next(gradients) for _ in variables], variables, strict=True)
            known = [(gradient, variable) for gradient, variable in pairs if gradient is not None]
            if known:
                optimizer.apply(*map(list, zip(*known, strict=True)))
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
    replicas: Replicas | None = None,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Train until the validation NDCG@20 no longer rises, and keep the best weights.

    Judged and kept is the running mean of the weights: where a pass is a dozen steps, single steps are
    mostly noise.

    Args:
        model: Started from a linear ranker, made in the scope of the replicas.
        train: Lists to learn from.
        validation: Lists of other listeners, to stop by.
        weights: ``[n_lists, width]`` of ``train``, how much each candidate counts.
        history: Filled with the learning curves.
        replicas: Who trains.
        checkpoints: Where every pass is kept; a run that finds one there goes on after it.
    """
    replicas = replicas or Replicas()
    config: ModelConfig = model.config
    # Where lists do not move the vectors, what is read of them stays the same for all passes.
    fixed = config.embedding_rate == 0
    state = TrainingState(model, history, checkpoints)
    known = _likenesses(model, train, training=True) if fixed else None
    feed = ListFeed(train, weights, config, known, replicas)
    with replicas.scope():
        step = TrainStep(model, class_balance(train), feed.batch_size)
    move = replicas.traced(step, xla=config.xla)
    quality = _Quality(model, validation, _likenesses(model, validation, training=False) if fixed else None)
    if not state.resume(step.variables):
        state.judged(float(replicas.of_first(quality())))
        state.keep(step.variables)
    for epoch in range(len(history.loss), config.epochs):
        losses = [float(move(batch)) for batch in feed.epoch(epoch)]
        history.loss.append(float(np.mean(losses)))
        last = state.weights()
        step.average()
        state.judged(float(replicas.of_first(quality())))
        if epoch + 1 - history.best_epoch >= config.patience:
            break
        state.set_weights(last)
        state.keep(step.variables)
    state.set_weights(state.best)


def traced_scorer(model: DeepRecommender) -> Scorer:
    """The model as a function of arrays, traced once for every batch and width."""
    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in input_signature(model.shape).items()
    }
    graph = tf.function(lambda inputs: model(inputs, training=False), input_signature=[specs])
    return lambda inputs: {head: logits.numpy() for head, logits in graph(inputs).items()}


def _likenesses(model: DeepRecommender, examples: RankingExamples, training: bool) -> FloatArray:
    """What the model reads of the vectors ``[n_lists, width, n]``; some ids are hidden for training."""
    found = tf.function(model.likenesses, reduce_retracing=True)
    computed = [found(model_inputs(part), training).numpy() for _, part in parts(examples.inputs)]
    return np.concatenate(computed)


class _Quality:
    """NDCG@20 of a model on the same lists again and again."""

    def __init__(
        self, model: DeepRecommender, validation: RankingExamples, likenesses: FloatArray | None
    ) -> None:
        self._play = tf.function(lambda tensors: model(tensors)["play"], reduce_retracing=True)
        self._validation, self._likenesses = validation, likenesses

    def __call__(self) -> float:
        inputs = self._validation.inputs
        scores = np.full(inputs.track_index.shape, -np.inf, np.float32)
        for place, part in parts(inputs):
            tensors = model_inputs(part)
            if self._likenesses is not None:
                tensors["likenesses"] = self._likenesses[place]
            scores[place] = np.where(part.present, self._play(tensors).numpy(), -np.inf)
        return mean_ndcg(scores, self._validation)
