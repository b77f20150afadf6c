"""DeepRecommender: embeddings, content, context and retriever scores in one multi-task model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from audotics.domain import FloatArray
from audotics.errors import MissingExtraError

try:
    import keras
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise MissingExtraError("the deep ranker", "tensorflow") from error

from audotics.ranking.config import ModelConfig, ModelShape
from audotics.ranking.embedding import GatherEmbedding
from audotics.ranking.vectors import EarlierVectors, VectorStart

TensorMap = dict[str, tf.Tensor]

_NO_OTHERS: Mapping[str, FloatArray] = MappingProxyType({})
_N_LIKENESSES = 3
_ROWS_AT_ONCE = 65_536
_SHARPNESS = 10.0
"""Of the attention to recent tracks: between their mean (0) and the likest alone."""


@keras.saving.register_keras_serializable(package="audotics")
class DeepRecommender(keras.Model):  # type: ignore[misc]
    """Scores every candidate of every list, for each task.

    A track is its embedding plus a projection of its content, so tracks without an embedding of their
    own are still somewhere. Listener and tracks enter as likenesses only (`likenesses`): what single
    embedding dimensions say of a candidate is learned by heart long before it is understood where some
    thousand lists teach. Features, likenesses and context go through layers that all heads share, then
    through experts, each head mixing them by its own softmax gate (MMoE, Ma et al. 2018, "Modeling task
    relationships in multi-task learning with multi-gate mixture-of-experts", KDD). One head alone has one
    expert and no gate. The towers are linear, so an expert is read by each head before the mixing: the
    same function for fewer products.

    The score of each head is a weighted sum of the features plus the deep part, whose last layer starts
    at zero: before training the model *is* the linear model whose weights `start_from` gives it.

    Args:
        config: Settings.
        shape: Sizes the data fixes.

    Inputs are a dictionary: ``features [batch, width, n_features]``, ``track_index [batch, width]``,
    ``user_index [batch]``, and, where the data has them, ``context [batch, n_context]`` and
    ``recent [batch, n_recent]``; ``likenesses [batch, width, 3]``, if given, are not computed again.
    Outputs: a dictionary of logits ``[batch, width]`` by head. Padded slots get some number; nothing of
    them flows into other slots.
    """

    def __init__(
        self, config: ModelConfig | dict[str, Any], shape: ModelShape | dict[str, Any], **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.config = ModelConfig.model_validate(config)
        self.shape = ModelShape.model_validate(shape)
        dim, seed = self.config.embedding_dim, self.config.seed
        self._add_vectors(dim, seed)
        self._add_layers(seed)
        self.built = True

    def _add_vectors(self, dim: int, seed: int) -> None:
        def table(n_known: int, place: int, name: str) -> GatherEmbedding:
            config = self.config
            return GatherEmbedding(
                n_known, config.hashed_rows, dim, config.id_dropout, seed + place, name=name
            )

        self.users = table(self.shape.n_users, 10, "users")
        self.tracks = table(self.shape.n_tracks, 20, "tracks")
        n_content = self.shape.n_content
        if n_content:
            self.content = self.add_weight(
                name="content",
                shape=(self.shape.n_tracks + 1, n_content),
                initializer="zeros",
                trainable=False,
            )
            # As large as the embeddings at the start, so that neither drowns the other.
            start = keras.initializers.RandomNormal(stddev=0.1 / n_content**0.5, seed=seed + 30)
            self.content_projection = _dense(dim, n_content, start, "content_projection")

    def _add_layers(self, seed: int) -> None:
        shape, widths = self.shape, self.config.hidden
        n_heads = len(shape.heads)
        wide = "mixed_bfloat16" if self.config.mixed_precision else "float32"
        if shape.n_context:
            self.per_list = _dense(widths[0], shape.n_context, _relu_start(seed + 31), "per_list", dtype=wide)
        below = (shape.n_features + _N_LIKENESSES, *widths[:-1])
        self.shared = [
            _dense(width, low, _relu_start(seed + 40 + place), f"shared_{place}", bias=True, dtype=wide)
            for place, (low, width) in enumerate(zip(below, widths, strict=True))
        ]
        self.n_experts = self.config.n_experts if n_heads > 1 else 1
        self.experts = _dense(
            self.n_experts * self.config.expert_width,
            widths[-1],
            _relu_start(seed + 32),
            "experts",
            bias=True,
            dtype=wide,
        )
        if self.n_experts > 1:
            self.gates = _dense(self.n_experts * n_heads, widths[-1], "zeros", "gates", bias=True)
        self.dropouts = [
            keras.layers.Dropout(self.config.dropout, seed=seed + 60 + place, dtype=wide)
            for place in range(len(widths) + 1)
        ]
        self.skip = _dense(n_heads, shape.n_features, "zeros", "skip")
        self.top = _dense(n_heads, self.config.expert_width, "zeros", "top", bias=True)

    def start_from(
        self,
        weights: FloatArray,
        content: FloatArray,
        others: Mapping[str, FloatArray] = MappingProxyType({}),
    ) -> None:
        """Take a linear ranker's weights ``[n_features]`` for the play head, and the content table.

        Args:
            weights: Of the play head.
            content: ``[n_tracks, n_content]``.
            others: Weights of other heads ``[n_features]`` by name; those left out start at zero.
        """
        kernel = np.zeros((self.shape.n_features, len(self.shape.heads)), np.float32)
        for head, start in {**others, "play": weights}.items():
            kernel[:, self.shape.heads.index(head)] = start
        self.skip.kernel.assign(kernel)
        if self.shape.n_content:
            self.content.assign(np.pad(content, [(0, 1), (0, 0)]).astype(np.float32))

    def vectors(self) -> EarlierVectors:
        """Vectors of all known listeners and tracks."""
        tracks = [
            self.track_vectors(
                tf.range(start, min(start + _ROWS_AT_ONCE, self.shape.n_tracks)), False
            ).numpy()
            for start in range(0, self.shape.n_tracks, _ROWS_AT_ONCE)
        ]
        users = self.users.table.numpy()[: self.shape.n_users]
        return EarlierVectors(users, np.concatenate([np.zeros((0, users.shape[1]), np.float32), *tracks]))

    def start_vectors(self, start: VectorStart) -> None:
        """Place listeners and tracks where an earlier model had them, whatever their content adds by now.

        Call it after `start_from`, which brings the content.
        """
        users, tracks = self.users.table.numpy(), self.tracks.table.numpy()
        known = np.flatnonzero(start.tracks_told)
        users[np.flatnonzero(start.users_told)] = start.users[start.users_told]
        tracks[known] = start.tracks[known]
        if self.shape.n_content:
            tracks[known] -= self.content.numpy()[known] @ self.content_projection.kernel.numpy()
        self.users.table.assign(users)
        self.tracks.table.assign(tracks)

    def call(self, inputs: TensorMap, training: bool = False) -> TensorMap:
        """Logits ``[batch, width]`` by head."""
        features = inputs["features"]
        known = inputs.get("likenesses")
        likenesses = self.likenesses(inputs, training) if known is None else known
        hidden = tf.concat([features, likenesses], axis=-1)
        for place, layer in enumerate(self.shared):
            hidden = layer(hidden)
            if place == 0 and self.shape.n_context:
                # The same sum as a layer on both together, but once a list instead of once a candidate.
                hidden += self.per_list(inputs["context"])[:, None, :]
            hidden = self.dropouts[place](tf.nn.relu(hidden), training=training)
        logits = self.skip(features) + self._mixed(hidden, training)
        return {head: logits[..., place] for place, head in enumerate(self.shape.heads)}

    def gate_shares(self, hidden: tf.Tensor) -> tf.Tensor:
        """How much each head listens to each expert ``[batch, width, n_experts, n_heads]``; sums to one."""
        return tf.nn.softmax(_parted(self.gates(hidden), self.n_experts, len(self.shape.heads)), axis=2)

    def _mixed(self, hidden: tf.Tensor, training: bool) -> tf.Tensor:
        """The deep part of every head ``[batch, width, n_heads]``."""
        experts = self.dropouts[-1](tf.nn.relu(self.experts(hidden)), training=training)
        if self.n_experts == 1:
            return self.top(experts)
        said = self.top(_parted(experts, self.n_experts, self.config.expert_width))
        return tf.reduce_sum(self.gate_shares(hidden) * said, axis=2)

    def track_vectors(self, index: tf.Tensor, training: bool) -> tf.Tensor:
        """Embedding plus projected content, ``index.shape + [dim]``; unknown tracks have zero content."""
        embedded = self.tracks(index, training=training)
        if not self.shape.n_content:
            return embedded
        row = tf.where((index >= 0) & (index < self.shape.n_tracks), index, self.shape.n_tracks)
        return embedded + self.content_projection(tf.nn.embedding_lookup(self.content.value, row))

    def likenesses(self, inputs: TensorMap, training: bool) -> tf.Tensor:
        """``[batch, width, 3]``: track and listener, track and recent tracks, the likest weighing most.

        The first is the product that pre-training fits. The others are cosines: their plain mean, and
        their mean weighted by a softmax over themselves (attention of the candidate to the history, as in
        DIN, Zhou et al. 2018, arXiv:1706.06978). Nothing recent gives 0.
        """
        track = self.track_vectors(inputs["track_index"], training)
        listener = self.users(inputs["user_index"], training=training)
        liked = tf.reduce_sum(track * listener[:, None, :], axis=-1)
        if not self.shape.n_recent:
            return tf.stack([liked, tf.zeros_like(liked), tf.zeros_like(liked)], axis=-1)
        recent = self.track_vectors(inputs["recent"], training)
        cosine = tf.matmul(_unit(track), _unit(recent), transpose_b=True)
        known = tf.cast(inputs["recent"] >= 0, tf.float32)[:, None, :]
        weight = tf.nn.softmax(_SHARPNESS * cosine - 1e9 * (1 - known), axis=-1) * known
        count = tf.maximum(tf.reduce_sum(known, axis=-1), 1.0)
        mean = tf.reduce_sum(cosine * known, axis=-1) / count
        return tf.stack([liked, mean, tf.reduce_sum(weight * cosine, axis=-1)], axis=-1)

    def dense_kernels(self) -> list[Any]:
        """Weights of the deep part that the L2 penalty pulls to zero."""
        layers = [*self.shared, self.experts, self.top]
        if self.shape.n_context:
            layers.append(self.per_list)
        return [layer.kernel for layer in layers]

    def vector_variables(self) -> list[Any]:
        """What places listeners and tracks; trained by pairs first."""
        projection = [self.content_projection.kernel] if self.shape.n_content else []
        return [self.users.table, self.tracks.table, *projection]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor, as JSON values."""
        own = {"config": self.config.model_dump(mode="json"), "shape": self.shape.model_dump(mode="json")}
        return {**super().get_config(), **own}


def _parted(values: tf.Tensor, n_parts: int, width: int) -> tf.Tensor:
    """``[batch, slots, n_parts * width]`` as ``[batch, slots, n_parts, width]``."""
    return tf.reshape(values, tf.concat([tf.shape(values)[:2], [n_parts, width]], axis=0))


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors of length one; zero stays zero."""
    return vectors * tf.math.rsqrt(tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True) + 1e-12)


def _relu_start(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed=seed)


def _dense(
    width: int, below: int, start: Any, name: str, *, bias: bool = False, dtype: str = "float32"
) -> keras.layers.Dense:
    """A built linear layer."""
    layer = keras.layers.Dense(width, use_bias=bias, kernel_initializer=start, name=name, dtype=dtype)
    layer.build((None, below))
    return layer
