"""Training lists as tf.data batches of one fixed shape, candidates sampled anew at every pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from audotics.domain import FloatArray
from audotics.ranking.batches import TensorDict, model_inputs
from audotics.ranking.config import ModelConfig
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.sampling import sample_slots, take_slots
from audotics.replicas import Replicas

_LEAST_CANDIDATES = 64
"""Fewer candidates of a list would leave out what is hard to tell from the played."""


class ListFeed:
    """Batches of whole lists in a new random order for every pass.

    Each batch is cut from the arrays at once; nothing is sliced list by list. The last batch is filled
    with lists of its beginning, so that every batch has the same shape and one graph serves all.

    Args:
        examples: Lists; those where nothing happened are left out.
        weights: ``[n_lists, width]``, how much each candidate counts.
        config: Batch size, candidates per list, seed.
        likenesses: ``[n_lists, width, n]``, where the model need not compute them.
        replicas: Who trains; each gets its share of the same batches.
    """

    def __init__(
        self,
        examples: RankingExamples,
        weights: FloatArray,
        config: ModelConfig,
        likenesses: FloatArray | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        self._examples = examples
        self._weights = weights
        self._likenesses = likenesses
        self._lists = np.flatnonzero((examples.labels > 0).any(axis=(1, 2))).astype(np.int32)
        affordable = max(_LEAST_CANDIDATES, config.candidates_per_pass // max(len(self._lists), 1))
        width = examples.inputs.track_index.shape[1]
        self._n_kept = min(config.candidates_per_list, affordable, width)
        self._batch = min(config.batch_size, len(self._lists))
        self._own = slice(None) if replicas is None else replicas.share(self._batch)
        self._seed = config.seed

    @property
    def batch_size(self) -> int:
        """Lists of one batch, over all replicas."""
        return self._batch

    def epoch(self, number: int) -> tf.data.Dataset:
        """The batches of pass ``number``: model inputs plus ``labels`` and ``weights``."""
        signature = {
            name: tf.TensorSpec(array.shape, array.dtype) for name, array in self._cut(0, self._lists).items()
        }
        data = tf.data.Dataset.from_generator(lambda: self._batches(number), output_signature=signature)
        return data.prefetch(2)

    def _batches(self, number: int) -> Iterator[TensorDict]:
        order = np.random.default_rng([self._seed, number]).permutation(self._lists)
        for start in range(0, len(order), self._batch):
            yield self._cut(number, np.roll(order, -start))

    def _cut(self, number: int, order: np.ndarray) -> TensorDict:
        lists = order[: self._batch]
        chosen = self._examples.take(lists)
        rng = np.random.default_rng([self._seed, number, int(lists[0])])
        slots = sample_slots(chosen.inputs.present, chosen.labels, self._n_kept, rng)
        cut = take_slots(chosen, slots)
        weights = np.take_along_axis(self._weights[lists], slots, axis=1)
        tensors = {**model_inputs(cut.inputs), "labels": cut.labels, "weights": weights}
        if self._likenesses is not None:
            tensors["likenesses"] = np.take_along_axis(self._likenesses[lists], slots[..., None], axis=1)
        return {name: array[self._own] for name, array in tensors.items()}


def class_balance(examples: RankingExamples) -> FloatArray:
    """Weights ``[n_heads - 1, 2]`` of the classes 0 and 1 of each head beside play.

    Both classes together count the same: ``n / (2 n_c)``; 1 where a class never occurs.
    """
    labels = examples.labels[..., 1:]
    counts = np.stack([(labels <= 0).sum(axis=(0, 1)), (labels > 0).sum(axis=(0, 1))], axis=1)
    total = counts.sum(axis=1, keepdims=True)
    balance: FloatArray = np.ones(counts.shape, np.float32)
    np.divide(total, 2 * counts, out=balance, where=counts > 0, casting="same_kind")
    return balance
