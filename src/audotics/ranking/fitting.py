"""From lists to a trained deep model, the same twice for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from audotics.accelerator import placed
from audotics.checkpoints import Checkpoints
from audotics.domain import FloatArray
from audotics.ranking.batches import Scorer
from audotics.ranking.config import ModelConfig, ModelShape, RankingWorld
from audotics.ranking.heads import HeadModel
from audotics.ranking.linear import LinearRanker
from audotics.ranking.model import DeepRecommender
from audotics.ranking.pretraining import pretrain
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.training_loop import fit_lists, traced_scorer
from audotics.ranking.training_state import TrainingHistory
from audotics.replicas import Replicas


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A trained model, the function that scores with it, and how training went."""

    model: DeepRecommender
    scorer: Scorer
    history: TrainingHistory


def fit_model(
    config: ModelConfig,
    world: RankingWorld,
    train: RankingExamples,
    validation: RankingExamples,
    weights: FloatArray,
    replicas: Replicas | None = None,
    checkpoints: Checkpoints | None = None,
) -> FittedModel:
    """Linear start of every head, two-tower pre-training, listwise training.

    Every source of chance has its own seed; TensorFlow is told to use deterministic kernels, which stays
    so for the process.

    Args:
        config: Settings.
        world: Listeners, content and pairs.
        train: Lists to learn from.
        validation: Lists of other listeners, to stop by.
        weights: ``[n_lists, width]`` of ``train``.
        replicas: Who trains together; None is this process alone.
        checkpoints: Where the training on lists is kept after every pass; a run that finds one goes on.
    """
    tf.config.experimental.enable_op_determinism()
    with placed(config.device):
        model, history = _trained(
            config, world, train, validation, weights, replicas or Replicas(), checkpoints
        )
    if config.mixed_precision:
        model = _in_full_precision(model)
    return FittedModel(model, traced_scorer(model), history)


def _in_full_precision(model: DeepRecommender) -> DeepRecommender:
    """The same weights in a model that computes all in float32, as every export does."""
    plain = DeepRecommender(model.config.model_copy(update={"mixed_precision": False}), model.shape)
    for variable, trained in zip(plain.weights, model.weights, strict=True):
        variable.assign(trained)
    return plain


def _trained(
    config: ModelConfig,
    world: RankingWorld,
    train: RankingExamples,
    validation: RankingExamples,
    weights: FloatArray,
    replicas: Replicas,
    checkpoints: Checkpoints | None,
) -> tuple[DeepRecommender, TrainingHistory]:
    with replicas.scope():
        model = DeepRecommender(config, shape_of(world, train))
    # Other heads start as their linear models too: if play gains nothing by training, they are what serves.
    others = HeadModel(config.seed, train.heads[1:]).fit(train, validation)
    model.start_from(
        replicas.of_first(LinearRanker(config.seed).fit(train, validation).weights_),
        world.content,
        {head: replicas.of_first(start) for head, start in zip(others.heads_, others.weights_, strict=True)},
    )
    if world.start is not None and world.start.tracks.shape[1] == config.embedding_dim:
        model.start_vectors(world.start)
    history = TrainingHistory()
    resumes = checkpoints is not None and checkpoints.exist
    if world.interactions is not None and not resumes:
        history.pretraining_loss = pretrain(model, world.interactions, replicas)
    fit_lists(model, train, validation, weights, history, replicas, checkpoints)
    return model, history


def shape_of(world: RankingWorld, examples: RankingExamples) -> ModelShape:
    """The sizes that the data fixes."""
    inputs = examples.inputs
    n_tracks, n_content = np.shape(world.content)
    return ModelShape(
        n_users=world.n_users,
        n_tracks=n_tracks,
        n_content=n_content,
        n_features=len(inputs.feature_names),
        n_context=inputs.context.shape[1],
        n_recent=inputs.recent.shape[1],
        heads=examples.heads,
    )
