"""Embedding table that gathers rows straight from its variable and has rows for ids it never saw."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="audotics")
class GatherEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Rows of a trainable table ``[n_known + n_hashed + 1, dim]``.

    ``keras.layers.Embedding`` reads the whole table before it takes rows, which copies the table once a
    step when rows are updated sparsely. This layer gathers from the variable itself, so that a step
    costs as much as its rows, whatever the size of the table.

    Rows: the known ids, then ``n_hashed`` rows shared by ids added after training (`hashing.hashed_index`),
    then one for ids of which nothing is known. Every index outside takes that last row.

    Args:
        n_known: Ids that training saw.
        n_hashed: Rows for later ids.
        dim: Length of an embedding.
        id_dropout: Share of indices that training sends to the hashed and the unknown rows (half each),
            which is how those rows learn what an average stranger is like.
        seed: Fixes starting values and dropout.
    """

    def __init__(
        self, n_known: int, n_hashed: int, dim: int, id_dropout: float, seed: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.n_known, self.n_hashed, self.dim = n_known, n_hashed, dim
        self.id_dropout, self.seed = id_dropout, seed
        self._chance = keras.random.SeedGenerator(seed + 1)
        self.table = self.add_weight(
            name="table",
            shape=(n_known + n_hashed + 1, dim),
            initializer=keras.initializers.RandomNormal(stddev=0.1, seed=seed),
        )
        self.built = True

    def call(self, index: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Embeddings ``index.shape + [dim]`` of int32 indices of any shape."""
        last = self.n_known + self.n_hashed
        row = tf.where((index >= 0) & (index < last), index, last)
        if training and self.id_dropout > 0:
            chance = keras.random.uniform(tf.shape(index), seed=self._chance)
            hashed = self.n_known + tf.math.floormod(index, self.n_hashed)
            hidden = tf.where(chance < self.id_dropout / 2, hashed, last)
            row = tf.where((chance < self.id_dropout) & (index >= 0), hidden, row)
        return tf.nn.embedding_lookup(self.table.value, row)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        own = ("n_known", "n_hashed", "dim", "id_dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
