"""Two-tower pre-training: where listeners and tracks stand before the ranker orders lists.

The listener's embedding and the track's vector (embedding plus projected content) are trained on all
pairs by softmax over the tracks of the batch. A track is drawn as a negative as often as it is popular,
which `log q` takes out again (Yi et al. 2019, "Sampling-bias-corrected neural modeling", RecSys).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from audotics.data.interactions import Interactions
from audotics.domain import FloatArray, IndexArray
from audotics.lazy_adam import LazyAdam
from audotics.ranking.config import ModelConfig
from audotics.ranking.model import DeepRecommender
from audotics.replicas import Replicas

_NEVER = -1e9
_VALIDATION_SHARE = 0.05
_MIN_PAIRS = 40
"""With fewer pairs there is nothing to split and to learn."""


def in_batch_loss(
    listener: tf.Tensor,
    track: tf.Tensor,
    user_index: tf.Tensor,
    track_index: tf.Tensor,
    log_q: tf.Tensor,
    own: slice = slice(None),
) -> tf.Tensor:
    """Softmax cross-entropy of each pair against the other tracks of the batch, over the size of the batch.

    Other pairs with the same track or of the same listener are no negatives (accidental hits) and
    are masked.

    Args:
        listener: ``[n_own, dim]``, of the ``own`` pairs.
        track: ``[batch, dim]``.
        user_index: ``[batch]``.
        track_index: ``[batch]``.
        log_q: ``[batch]``, log of the chance to draw each track.
        own: Pairs that are counted: all, or the share of one replica of several.

    Returns:
        Scalar.
    """
    logits = tf.matmul(listener, track, transpose_b=True) - log_q[None, :]
    place = tf.range(tf.size(user_index))
    same = (user_index[own, None] == user_index[None, :]) | (track_index[own, None] == track_index[None, :])
    itself = place[own, None] == place[None, :]
    likelihood = tf.nn.log_softmax(tf.where(same & ~itself, _NEVER, logits))
    counted = tf.reduce_sum(tf.where(itself, likelihood, 0.0))
    return -counted / tf.cast(tf.size(user_index), likelihood.dtype)


def pretrain(
    model: DeepRecommender, interactions: Interactions, replicas: Replicas | None = None
) -> list[float]:
    """Train embeddings and content projection of ``model`` on all pairs, keeping the best pass.

    Stops when the loss on a twentieth of the pairs no longer falls.

    Args:
        model: Made in the scope of the replicas.
        interactions: All pairs.
        replicas: Who trains; each computes its share of the pairs of a batch against all of its tracks.

    Returns:
        That loss before training and after each pass; empty if there were too few pairs to learn from.
    """
    config: ModelConfig = model.config
    if interactions.n_pairs < _MIN_PAIRS or not config.pretraining_epochs:
        return []
    rng = np.random.default_rng([config.seed, 7])
    held, kept = np.split(
        rng.permutation(interactions.n_pairs), [max(2, int(interactions.n_pairs * _VALIDATION_SHARE))]
    )
    replicas = replicas or Replicas()
    towers = _Towers(model, _log_frequency(interactions), replicas)
    pairs = interactions.row_index, interactions.track_index
    losses = [towers.evaluate(*_batched(pairs, held, config))]
    best = [variable.numpy() for variable in towers.variables]
    for _ in range(config.pretraining_epochs):
        drawn = rng.permutation(kept)[: config.pretraining_pairs]
        towers.train(*_batched(pairs, drawn, config))
        losses.append(float(replicas.of_first(towers.evaluate(*_batched(pairs, held, config)))))
        if losses[-1] > min(losses):
            break
        best = [variable.numpy() for variable in towers.variables]
    for variable, value in zip(towers.variables, best, strict=True):
        variable.assign(value)
    return losses


class _Towers:
    """The two towers with their step, and the variables that they move."""

    def __init__(self, model: DeepRecommender, log_q: FloatArray, replicas: Replicas) -> None:
        self._model = model
        self._replicas = replicas
        self._log_q = tf.constant(log_q)
        self.variables = model.vector_variables()
        with replicas.scope():
            self._optimizer = LazyAdam(model.config.pretraining_rate)
            self._optimizer.build(self.variables)
        self._step = replicas.traced(self._train_batch)
        self._loss = tf.function(lambda users, tracks: self._batch_loss(users, tracks, slice(None)))

    def train(self, users: IndexArray, tracks: IndexArray) -> None:
        """One pass over batches ``[n_batches, batch]``."""
        for batch in tf.data.Dataset.from_tensor_slices((users, tracks)):
            self._step(*batch)

    def evaluate(self, users: IndexArray, tracks: IndexArray) -> float:
        """Mean loss over batches ``[n_batches, batch]``."""
        data = tf.data.Dataset.from_tensor_slices((users, tracks))
        return float(np.mean([float(self._loss(*batch)) for batch in data]))

    def _train_batch(self, users: tf.Tensor, tracks: tf.Tensor) -> tf.Tensor:
        own = self._replicas.share(int(users.shape[0]))
        with tf.GradientTape() as tape:
            loss = self._batch_loss(users, tracks, own, training=True)
        self._optimizer.apply(tape.gradient(loss, self.variables), self.variables)
        return loss

    def _batch_loss(
        self, users: tf.Tensor, tracks: tf.Tensor, own: slice, training: bool = False
    ) -> tf.Tensor:
        listener = self._model.users(users[own], training=training)
        track = self._model.track_vectors(tracks, training)
        return in_batch_loss(listener, track, users, tracks, tf.gather(self._log_q, tracks), own)


def _log_frequency(interactions: Interactions) -> FloatArray:
    """Log of each track's share of all pairs ``[n_tracks]``; tracks without a pair count half a pair."""
    counts = np.bincount(interactions.track_index, minlength=interactions.n_tracks)
    frequency: FloatArray = np.log(np.maximum(counts, 0.5) / interactions.n_pairs).astype(np.float32)
    return frequency


def _batched(
    pairs: tuple[IndexArray, IndexArray], chosen: np.ndarray, config: ModelConfig
) -> tuple[IndexArray, IndexArray]:
    """The chosen pairs as whole batches ``[n_batches, batch]``; what does not fill a batch is left out."""
    batch = min(config.pretraining_batch_size, len(chosen))
    whole = chosen[: len(chosen) // batch * batch].reshape(-1, batch)
    users, tracks = pairs
    return users[whole], tracks[whole]
