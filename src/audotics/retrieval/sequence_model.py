"""The sequence encoder and its track tower as TensorFlow variables, for training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from audotics.domain import FloatArray, IndexArray
from audotics.retrieval.protocol import Arrays
from audotics.retrieval.sequence import SequenceStart
from audotics.retrieval.sequence_content import TowerContent
from audotics.retrieval.sequence_encoder import NORM_EPSILON, UNSEEN, block_shapes
from audotics.retrieval.sequence_inputs import N_PAUSES

Dropout = Callable[[tf.Tensor], tf.Tensor]

_TRACKS_AT_ONCE = 8192


class SequenceModel:
    """The same function as `sequence_encoder.encode`, for all places at once and with gradients.

    A track's vector is a learned one for its id plus the sum of learned ones for its terms and a projection
    of its audio. One row of the ids stands for every track without behaviour.

    Args:
        content: Of all tracks.
        dim: Length of the vectors.
        n_blocks: Blocks of attention.
        n_heads: Heads of each block.
        length: Longest sequence.
        seed: Fixes the starting weights.
    """

    def __init__(
        self, content: TowerContent, *, dim: int, n_blocks: int, n_heads: int, length: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        n_audio = content.audio.shape[1]
        self.dim = dim
        self.n_tracks = len(content.terms)
        self._terms, self._strengths = tf.constant(content.terms), tf.constant(content.strengths)
        self._audio = tf.constant(content.audio)
        self._n_heads = n_heads
        self.ids = tf.Variable(_normal(rng, (self.n_tracks + 1, dim), 0.1), name="ids")
        self.term_vectors = tf.Variable(_normal(rng, (content.n_terms + 1, dim), 0.1), name="terms")
        scale = 0.1 / max(1, n_audio) ** 0.5
        projection = _normal(rng, (n_audio, dim), scale)
        # No variable where there is nothing to project: replicas cannot send each other an empty one.
        self.audio_projection = tf.Variable(projection, name="audio") if n_audio else tf.constant(projection)
        self.pauses = tf.Variable(tf.zeros((N_PAUSES, dim)), name="pauses")
        self.norm = tf.Variable(_plain_norm(dim), name="norm")
        self.blocks = [_new_block(rng, dim, n_heads, length, number) for number in range(n_blocks)]

    def start_from(self, start: SequenceStart) -> None:
        """Take over an earlier encoder; content keeps its random start, and ids make up for it."""
        n_tracks = self.n_tracks
        content = self._all_vectors(np.ones(n_tracks, np.bool_)) - self.ids[n_tracks].numpy()
        ids = self.ids.numpy()
        known = np.flatnonzero(start.told)
        ids[known] = start.tracks[known] - content[known]
        self.ids.assign(ids)
        self.pauses.assign(start.weights["pauses"])
        self.norm.assign(start.weights["norm"])
        for number, block in enumerate(self.blocks):
            for name, variable in block.items():
                variable.assign(start.weights[f"{number}_{name}"])

    @property
    def variables(self) -> list[tf.Variable]:
        """Everything that is learned."""
        content = [self.term_vectors] if self._terms.shape[1] else []
        content += [self.audio_projection] if self._audio.shape[1] else []
        in_blocks = [variable for block in self.blocks for variable in block.values()]
        return [self.ids, *content, self.pauses, self.norm, *in_blocks]

    def track_vectors(self, rows: tf.Tensor, unknown: tf.Tensor) -> tf.Tensor:
        """Vectors ``[n, dim]`` of tracks ``[n]``; those marked ``unknown [n]`` by their content alone."""
        vectors = tf.nn.embedding_lookup(self.ids, tf.where(unknown, self.n_tracks, rows))
        if self._terms.shape[1]:
            terms, strengths = tf.gather(self._terms, rows), tf.gather(self._strengths, rows)
            # Each term once: gradients of repeated rows cost more than finding them.
            distinct, place = tf.unique(tf.reshape(terms, [-1]))
            found = tf.gather(tf.nn.embedding_lookup(self.term_vectors, distinct), place)
            found = tf.reshape(found, [-1, self._terms.shape[1], self.dim])
            vectors += tf.reduce_sum(found * strengths[..., None], axis=1)
        if self._audio.shape[1]:
            vectors += tf.gather(self._audio, rows) @ self.audio_projection
        return vectors

    def encode(
        self, vectors: tf.Tensor, present: tf.Tensor, pauses: tf.Tensor, dropout: Dropout
    ) -> tf.Tensor:
        """What should come after each place ``[n, length, dim]``.

        Args:
            vectors: ``[n, length, dim]`` of the sequences' tracks.
            present: ``[n, length]``, False where padded.
            pauses: ``[n, length]``, see `Sequences`.
            dropout: Applied where training adds noise.
        """
        states = dropout(vectors + tf.gather(self.pauses, pauses))
        for block in self.blocks:
            states += dropout(self._attended(block, states, present, dropout) @ block["attended"])
            hidden = _normed(states, block["dense_norm"]) @ block["up"] + block["up_shift"]
            hidden = tf.nn.gelu(hidden, approximate=True) @ block["down"] + block["down_shift"]
            states += dropout(hidden)
        return _normed(states, self.norm)

    def arrays(self, warm: IndexArray) -> Arrays:
        """The weights that `sequence_encoder.encode` reads; tracks that are not ``warm`` by content alone."""
        unknown = np.ones(self.n_tracks, np.bool_)
        unknown[warm] = False
        blocks = {
            f"{number}_{name}": variable.numpy()
            for number, block in enumerate(self.blocks)
            for name, variable in block.items()
        }
        return {
            "track_vectors": self._all_vectors(unknown),
            "pauses": self.pauses.numpy(),
            "norm": self.norm.numpy(),
            **blocks,
        }

    def _all_vectors(self, unknown: np.ndarray) -> FloatArray:
        vectors = np.empty((self.n_tracks, self.dim), np.float32)
        for start in range(0, self.n_tracks, _TRACKS_AT_ONCE):
            rows = np.arange(start, min(start + _TRACKS_AT_ONCE, self.n_tracks), dtype=np.int32)
            vectors[rows] = self.track_vectors(tf.constant(rows), tf.constant(unknown[rows])).numpy()
        return vectors

    def _attended(
        self, block: dict[str, tf.Variable], states: tf.Tensor, present: tf.Tensor, dropout: Dropout
    ) -> tf.Tensor:
        n, length = tf.shape(states)[0], tf.shape(states)[1]
        per_head = self.dim // self._n_heads
        mixed = _normed(states, block["attention_norm"]) @ block["query_key_value"]
        mixed = tf.reshape(mixed, [n, length, 3, self._n_heads, per_head])
        query, key, value = tf.unstack(tf.transpose(mixed, [2, 0, 3, 1, 4]))
        logits = tf.matmul(query, key, transpose_b=True) / per_head**0.5
        back = tf.range(length)[:, None] - tf.range(length)
        logits += tf.gather(block["distance"], tf.maximum(back, 0), axis=1)
        logits += tf.where((back >= 0) & present[:, None, None, :], 0.0, UNSEEN)
        seen = tf.matmul(dropout(tf.nn.softmax(logits)), value)
        return tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [n, length, self.dim])


def _new_block(
    rng: np.random.Generator, dim: int, n_heads: int, length: int, number: int
) -> dict[str, tf.Variable]:
    """Weights with Glorot's variances, norms that change nothing, everything else 0."""
    block: dict[str, tf.Variable] = {}
    for name, shape in block_shapes(dim, n_heads, length).items():
        if name.endswith("_norm"):
            start = _plain_norm(dim)
        elif name == "distance" or len(shape) == 1:
            start = np.zeros(shape, np.float32)
        else:
            start = _normal(rng, shape, (2 / (dim + min(shape[1], 2 * dim))) ** 0.5)
        block[name] = tf.Variable(start, name=f"{number}_{name}")
    return block


def _plain_norm(dim: int) -> FloatArray:
    return np.stack([np.ones(dim), np.zeros(dim)]).astype(np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> FloatArray:
    return rng.normal(0.0, deviation, shape).astype(np.float32)


def _normed(states: tf.Tensor, norm: tf.Variable) -> tf.Tensor:
    mean, variance = tf.nn.moments(states, -1, keepdims=True)
    return (states - mean) / tf.sqrt(variance + NORM_EPSILON) * norm[0] + norm[1]
