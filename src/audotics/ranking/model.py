"""DeepRecommender: embeddings, content, context and retriever scores in one multi-task model."""

from __future__ import annotations

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

TensorMap = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable(package="audotics")
class DeepRecommender(keras.Model):  # type: ignore[misc]
    """Scores every candidate of every list, for each task.

    A track is its embedding plus a projection of its content, so tracks without an embedding of their
    own are still somewhere. The candidate attends to the listener's recent tracks (as in DIN, Zhou et
    al. 2018, arXiv:1706.06978, with scaled dot products). Features, track, their products with listener
    and attended tracks go through dense layers shared by all heads. The first layer is a sum of one
    projection per part, the same function as a layer on their concatenation, but what belongs to the
    list (listener, context) is multiplied once a list instead of once a candidate.

    The score of each head is a weighted sum of the features plus the deep part, whose last layer starts
    at zero: before training the model *is* the linear model whose weights `start_from` gives it.

    Args:
        config: Settings.
        shape: Sizes the data fixes.

    Inputs are a dictionary: ``features [batch, width, n_features]``, ``track_index [batch, width]``,
    ``user_index [batch]``, and, where the data has them, ``context [batch, n_context]`` and
    ``recent [batch, n_recent]``. Outputs: a dictionary of logits ``[batch, width]`` by head. Padded
    slots get some number; nothing of them flows into other slots.
    """

    def __init__(
        self, config: ModelConfig | dict[str, Any], shape: ModelShape | dict[str, Any], **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.config = ModelConfig.model_validate(config)
        self.shape = ModelShape.model_validate(shape)
        dim, seed = self.config.embedding_dim, self.config.seed
        self._add_vectors(dim, seed)
        self._add_layers(dim, seed)
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

    def _add_layers(self, dim: int, seed: int) -> None:
        first, *deeper = self.config.hidden
        shape = self.shape
        self.per_list = _dense(first, dim + shape.n_context, _relu_start(seed + 31), "per_list")
        self.per_candidate = _dense(
            first, shape.n_features + 3 * dim, _relu_start(seed + 32), "per_candidate", bias=True
        )
        widths = self.config.hidden
        self.deeper = [
            _dense(width, below, _relu_start(seed + 40 + place), f"hidden_{place}", bias=True)
            for place, (below, width) in enumerate(zip(widths, deeper, strict=False))
        ]
        self.dropouts = [
            keras.layers.Dropout(self.config.dropout, seed=seed + 60 + place) for place in range(len(widths))
        ]
        self.skip = _dense(len(shape.heads), shape.n_features, "zeros", "skip")
        self.top = _dense(len(shape.heads), widths[-1], "zeros", "top", bias=True)

    def start_from(self, weights: FloatArray, content: FloatArray) -> None:
        """Take a linear ranker's weights ``[n_features]`` for the play head, and the content table."""
        kernel = np.zeros((self.shape.n_features, len(self.shape.heads)), np.float32)
        kernel[:, 0] = weights
        self.skip.kernel.assign(kernel)
        if self.shape.n_content:
            self.content.assign(np.pad(content, [(0, 1), (0, 0)]).astype(np.float32))

    def call(self, inputs: TensorMap, training: bool = False) -> TensorMap:
        """Logits ``[batch, width]`` by head."""
        features = inputs["features"]
        track = self.track_vectors(inputs["track_index"], training)
        listener = self.users(inputs["user_index"], training=training)
        parts = [
            features,
            track,
            track * listener[:, None, :],
            track * self._attended(inputs, track, training),
        ]
        per_list = listener
        if self.shape.n_context:
            per_list = tf.concat([listener, inputs["context"]], axis=-1)
        hidden = self.per_candidate(tf.concat(parts, axis=-1)) + self.per_list(per_list)[:, None, :]
        hidden = self.dropouts[0](tf.nn.relu(hidden), training=training)
        for layer, dropout in zip(self.deeper, self.dropouts[1:], strict=True):
            hidden = dropout(tf.nn.relu(layer(hidden)), training=training)
        logits = self.skip(features) + self.top(hidden)
        return {head: logits[..., place] for place, head in enumerate(self.shape.heads)}

    def track_vectors(self, index: tf.Tensor, training: bool) -> tf.Tensor:
        """Embedding plus projected content, ``index.shape + [dim]``; unknown tracks have zero content."""
        embedded = self.tracks(index, training=training)
        if not self.shape.n_content:
            return embedded
        row = tf.where((index >= 0) & (index < self.shape.n_tracks), index, self.shape.n_tracks)
        return embedded + self.content_projection(tf.nn.embedding_lookup(self.content.value, row))

    def _attended(self, inputs: TensorMap, track: tf.Tensor, training: bool) -> tf.Tensor:
        """For each candidate, the recent tracks by likeness ``[batch, width, dim]``; 0 without any."""
        if not self.shape.n_recent:
            return tf.zeros_like(track)
        recent = self.track_vectors(inputs["recent"], training)
        likeness = tf.matmul(track, recent, transpose_b=True) / self.config.embedding_dim**0.5
        known = tf.cast(inputs["recent"] >= 0, tf.float32)[:, None, :]
        weight = tf.nn.softmax(likeness - 1e9 * (1 - known), axis=-1) * known
        return tf.matmul(weight, recent)

    def dense_kernels(self) -> list[Any]:
        """Weights of the deep part that the L2 penalty pulls to zero."""
        layers = [self.per_list, self.per_candidate, *self.deeper, self.top]
        return [layer.kernel for layer in layers]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor, as JSON values."""
        own = {"config": self.config.model_dump(mode="json"), "shape": self.shape.model_dump(mode="json")}
        return {**super().get_config(), **own}


def _relu_start(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed=seed)


def _dense(width: int, below: int, start: Any, name: str, *, bias: bool = False) -> keras.layers.Dense:
    """A built linear layer."""
    layer = keras.layers.Dense(width, use_bias=bias, kernel_initializer=start, name=name)
    layer.build((None, below))
    return layer
