"""One step of the sequence encoder's training: loss, noise, gradients, and the rate that rises and falls."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from audotics.checkpoints import State, assign_values, values_of
from audotics.domain import FloatArray
from audotics.lazy_adam import LazyAdam
from audotics.replicas import Replicas
from audotics.retrieval.sequence import SequenceConfig
from audotics.retrieval.sequence_batches import Batch
from audotics.retrieval.sequence_encoder import UNSEEN
from audotics.retrieval.sequence_model import Dropout, SequenceModel

WARM_UP_STEPS = 100


def next_track_loss(
    encoded: tf.Tensor,
    right: tf.Tensor,
    wrong: tf.Tensor,
    right_log_expected: tf.Tensor,
    wrong_log_expected: tf.Tensor,
    is_hit: tf.Tensor,
) -> tf.Tensor:
    """Sum of softmax cross-entropies of the right tracks against shared negatives, corrected by ``log q``.

    Args:
        encoded: ``[n, dim]``, one for each place.
        right: ``[n, dim]``, vectors of what came next.
        wrong: ``[n_negatives, dim]``.
        right_log_expected: ``[n]``, see `NegativeSampler.log_expected`.
        wrong_log_expected: ``[n_negatives]``.
        is_hit: ``[n, n_negatives]``, True where the negative is the right track itself.

    Returns:
        Scalar.
    """
    own = tf.reduce_sum(encoded * right, axis=-1) - right_log_expected
    others = tf.matmul(encoded, wrong, transpose_b=True) - wrong_log_expected
    logits = tf.concat([own[:, None], tf.where(is_hit, UNSEEN, others)], axis=1)
    return tf.reduce_sum(tf.reduce_logsumexp(logits, axis=1) - own)


class Training:
    """The step, with its optimizer and its noise.

    Args:
        model: Whose variables are moved.
        config: Settings.
        log_expected: ``[n_tracks]``, see `NegativeSampler`.
        n_steps: Length of the schedule.
        replicas: Who trains; model and this are made in their scope.
    """

    def __init__(
        self,
        model: SequenceModel,
        config: SequenceConfig,
        log_expected: FloatArray,
        n_steps: int,
        replicas: Replicas | None = None,
    ) -> None:
        self._model = model
        self._config = config
        self._log_expected = tf.constant(log_expected)
        self._n_steps = n_steps
        self._replicas = replicas or Replicas()
        self.n_done = 0
        """Steps made."""
        self._optimizer = LazyAdam(config.learning_rate)
        self._optimizer.build(model.variables)
        kinds = (1, 2, 2, 2, 1, 0, 1)
        signature = [tf.TensorSpec([None] * rank, tf.int32) for rank in kinds]
        self._step = self._replicas.traced(self._train_batch, signature)

    def step(self, batch: Batch) -> float:
        """Move the variables by one batch; the loss before."""
        warmth = min(1.0, (self.n_done + 1) / WARM_UP_STEPS)
        falling = 0.5 * (1 + np.cos(np.pi * self.n_done / self._n_steps))
        self._optimizer.learning_rate.assign(self._config.learning_rate * warmth * falling)
        self.n_done += 1
        # Apart for every step and replica; draws inside a step count on from the first number.
        seed = np.array([self._config.seed, self.n_done * self._replicas.n + self._replicas.place], np.int32)
        parts = (batch.rows, batch.tracks, batch.pauses, batch.targets, batch.negatives, batch.n_told, seed)
        return float(self._step(*(tf.constant(part, tf.int32) for part in parts)))

    def state(self) -> State:
        """For a checkpoint."""
        moved = values_of(self._model.variables, "weights") | values_of(
            self._optimizer.variables, "optimizer"
        )
        return {**moved, "n_done": np.array(self.n_done)}

    def resume(self, state: State) -> None:
        """Go to where the run of a checkpoint was left."""
        assign_values(self._model.variables, "weights", state)
        assign_values(self._optimizer.variables, "optimizer", state)
        self.n_done = int(state["n_done"])

    def _train_batch(
        self,
        rows: tf.Tensor,
        tracks: tf.Tensor,
        pauses: tf.Tensor,
        targets: tf.Tensor,
        negatives: tf.Tensor,
        n_told: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        noise = _Noise(seed)
        with tf.GradientTape() as tape:
            unknown = noise.uniform(tf.shape(rows)) < self._config.id_dropout
            vectors = self._model.track_vectors(rows, unknown)
            sequence = tf.gather(vectors, tf.maximum(tracks, 0))
            encoded = self._model.encode(sequence, tracks >= 0, pauses, noise.dropout(self._config.dropout))
            told = tf.where(targets >= 0)
            target = tf.gather_nd(targets, told)
            log_expected = tf.gather(self._log_expected, rows)
            loss = next_track_loss(
                tf.gather_nd(encoded, told),
                tf.gather(vectors, target),
                tf.gather(vectors, negatives),
                tf.gather(log_expected, target),
                tf.gather(log_expected, negatives),
                target[:, None] == negatives,
            ) / tf.cast(n_told, tf.float32)
        variables = self._model.variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return loss


class _Noise:
    """Random numbers of one step, each draw with a seed of its own."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed, self._step = seed[0], seed[1]
        self._n_drawn = 0

    def uniform(self, shape: tf.Tensor) -> tf.Tensor:
        self._n_drawn += 1
        return tf.random.stateless_uniform(
            shape, tf.bitwise.bitwise_xor(self._seed, [0, self._n_drawn << 24])
        )

    def dropout(self, rate: float) -> Dropout:
        if rate == 0:
            return lambda states: states
        return lambda states: tf.where(
            self.uniform(tf.shape(states)) < rate, tf.zeros_like(states), states / (1 - rate)
        )
