"""Training of the sequence encoder: sampled softmax over what came next, stopped by held-out last tracks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME
from audotics.domain import FloatArray
from audotics.lazy_adam import LazyAdam
from audotics.retrieval.protocol import Arrays
from audotics.retrieval.sequence import SequenceConfig, SequenceHistory
from audotics.retrieval.sequence_batches import Batch, NegativeSampler, WindowSampler
from audotics.retrieval.sequence_content import TowerContent
from audotics.retrieval.sequence_encoder import UNSEEN, encode
from audotics.retrieval.sequence_inputs import play_sequences, recent_sequences
from audotics.retrieval.sequence_model import Dropout, SequenceModel

WARM_UP_STEPS = 100
N_CHECKS = 10
"""How often a training is looked at; it ends when `PATIENCE` looks in a row bring nothing better."""
PATIENCE = 3
MOST_HELD_OUT = 1000
"""Listeners whose last track is held out, at most half of all."""
MOST_RIVALS = 20_000
"""Tracks among which a held-out one is looked for."""


def train(config: SequenceConfig, corpus: Corpus, history: SequenceHistory | None = None) -> Arrays:
    """Learn the weights that `sequence_encoder.encode` reads; ``history`` is told of every look.

    The rate rises, then falls to 0 along a cosine; the best of the states looked at on the way is kept.
    Every source of chance has its own seed; TensorFlow is told to use deterministic kernels, which stays
    so for the process.
    """
    tf.config.experimental.enable_op_determinism()
    plays = play_sequences(corpus)
    rng = np.random.default_rng([config.seed, 1])
    held_out = HeldOut(plays, rng)
    model = SequenceModel(
        TowerContent.of(corpus.track_table),
        dim=config.dim,
        n_blocks=config.n_blocks,
        n_heads=config.n_heads,
        length=config.length,
        seed=config.seed,
    )
    n_plays = np.bincount(plays.track_index, minlength=corpus.n_tracks)
    negatives = NegativeSampler(n_plays, config.n_negatives)
    windows = WindowSampler(held_out.visible, config.length, config.batch_size)
    n_steps = min(config.max_steps, config.n_epochs * windows.n_batches())
    training = Training(model, config, negatives.log_expected, n_steps)
    warm = np.flatnonzero(n_plays).astype(np.int32)
    best, history = model.arrays(warm), history or SequenceHistory()
    check_every = max(1, -(-n_steps // N_CHECKS))
    losses: list[float] = []
    for number, batch in enumerate(_batches(windows, negatives, rng, n_steps), start=1):
        losses.append(training.step(batch))
        if number % check_every and number < n_steps:
            continue
        weights = model.arrays(warm)
        history.looked(number, losses, held_out.gain(weights, config.length))
        losses.clear()
        if not history.looks_since_best:
            best = weights
        elif history.looks_since_best == PATIENCE:
            break
    return best


def _batches(
    windows: WindowSampler, negatives: NegativeSampler, rng: np.random.Generator, n_steps: int
) -> Iterator[Batch]:
    """Exactly ``n_steps`` batches, pass after pass."""
    n = 0
    while n < n_steps:
        for window in windows.one_pass(rng):
            yield Batch.of(window, negatives.draw(rng))
            n += 1
            if n == n_steps:
                return


class HeldOut:
    """The last tracks of some listeners, by which training stops.

    Args:
        histories: Of all listeners.
        rng: Draws the listeners.
    """

    def __init__(self, histories: Interactions, rng: np.random.Generator) -> None:
        eligible = np.flatnonzero(histories.lengths >= 3)
        rows = rng.permutation(eligible)[: min(MOST_HELD_OUT, len(eligible) // 2)]
        last = histories.indptr[rows + 1] - 1
        self._asked_at = np.where(histories.last_at[last] > 0, histories.last_at[last], NO_TIME)
        self._answers = histories.track_index[last]
        kept = np.ones(histories.n_pairs, np.bool_)
        kept[last] = False
        self.visible = histories.where(kept)
        """All histories without the held-out tracks."""
        self._queries = self.visible.rows(rows)
        warm = np.unique(histories.track_index)
        self._rivals = rng.permutation(warm)[:MOST_RIVALS]

    def gain(self, weights: Arrays, length: int) -> float:
        """Mean of ``1 / log2(1 + rank)`` of the held-out tracks among unheard rivals; 0 without any."""
        if not len(self._answers):
            return 0.0
        encoded = encode(weights, recent_sequences(self._queries, self._asked_at, length))
        vectors = weights["track_vectors"]
        own = np.sum(encoded * vectors[self._answers], axis=1)
        rivals = encoded @ vectors[self._rivals].T
        place = np.full(len(vectors), -1)
        place[self._rivals] = np.arange(len(self._rivals))
        column = place[self._queries.track_index]
        rivals[self._queries.row_index[column >= 0], column[column >= 0]] = -np.inf
        rank = 1 + np.count_nonzero(rivals > own[:, None], axis=1)
        return float(np.mean(1 / np.log2(1 + rank)))


def next_track_loss(
    encoded: tf.Tensor,
    right: tf.Tensor,
    wrong: tf.Tensor,
    right_log_expected: tf.Tensor,
    wrong_log_expected: tf.Tensor,
    is_hit: tf.Tensor,
) -> tf.Tensor:
    """Mean softmax cross-entropy of the right track against shared negatives, corrected by ``log q``.

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
    return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - own)


class Training:
    """The step, with its optimizer and its noise.

    Args:
        model: Whose variables are moved.
        config: Settings.
        log_expected: ``[n_tracks]``, see `NegativeSampler`.
        n_steps: Length of the schedule.
    """

    def __init__(
        self, model: SequenceModel, config: SequenceConfig, log_expected: FloatArray, n_steps: int
    ) -> None:
        self._model = model
        self._config = config
        self._log_expected = tf.constant(log_expected)
        self._n_steps = n_steps
        self._done = 0
        self._optimizer = LazyAdam(config.learning_rate)
        self._optimizer.build(model.variables)
        kinds = (1, 2, 2, 2, 1, 1)
        signature = [tf.TensorSpec([None] * rank, tf.int32) for rank in kinds]
        self._step = tf.function(self._train_batch, input_signature=signature)

    def step(self, batch: Batch) -> float:
        """Move the variables by one batch; the loss before."""
        warmth = min(1.0, (self._done + 1) / WARM_UP_STEPS)
        falling = 0.5 * (1 + np.cos(np.pi * self._done / self._n_steps))
        self._optimizer.learning_rate.assign(self._config.learning_rate * warmth * falling)
        self._done += 1
        # Apart for every step; draws inside a step count on from the first number.
        seed = np.array([self._config.seed, self._done], np.int32)
        inputs = (batch.rows, batch.tracks, batch.pauses, batch.targets, batch.negatives, seed)
        return float(self._step(*(tf.constant(part, tf.int32) for part in inputs)))

    def _train_batch(
        self,
        rows: tf.Tensor,
        tracks: tf.Tensor,
        pauses: tf.Tensor,
        targets: tf.Tensor,
        negatives: tf.Tensor,
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
            )
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
