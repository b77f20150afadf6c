"""One model trained by several processes together, each on its share of every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class Replicas:
    """The processes that train one model, and this one's place among them.

    Every process holds the whole model, runs the same program on the same data in the same order, and
    computes gradients of its share of each batch. What a loss is divided by counts the whole batch, so the
    sum of the replicas' gradients is the gradient of one process. Dense gradients are summed, sparse ones
    gathered, and each process then moves its copy by the same step: measured under
    `tf.distribute.MultiWorkerMirroredStrategy`, row-sparse `LazyAdam` included.

    Args:
        strategy: Of TensorFlow; None is this process alone. Make models and optimizers in its `scope`.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self._strategy = strategy or tf.distribute.get_strategy()
        resolver = None if strategy is None else strategy.cluster_resolver
        self.n = int(self._strategy.num_replicas_in_sync)
        """How many there are."""
        self.place = 0 if resolver is None or self.n == 1 else int(resolver.task_id)
        """Which one this is, from 0."""
        self._summed = self.traced(lambda told: told)

    @property
    def is_first(self) -> bool:
        """Whether this process writes what is to be kept."""
        return self.place == 0

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Where variables are made; they start as those of the first process."""
        with self._strategy.scope():
            yield

    def share(self, n: int) -> slice:
        """This process' rows of a batch of ``n``; shares differ by one row at most."""
        return slice(self.place * n // self.n, (self.place + 1) * n // self.n)

    def traced(
        self,
        step: Callable[..., tf.Tensor],
        signature: Sequence[tf.TensorSpec] | None = None,
        *,
        xla: bool = False,
    ) -> Callable[..., tf.Tensor]:
        """``step`` as a graph that gives the sum of what it gives in all processes.

        Args:
            step: A function of tensors.
            signature: Of its tensors, where they change shape.
            xla: Compile it; several processes go without, as their sums cannot be compiled.
        """

        def together(*inputs: Any) -> tf.Tensor:
            share = self._strategy.run(step, args=inputs)
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, share, axis=None)

        compiled = True if xla and self.n == 1 else None
        traced: Callable[..., tf.Tensor] = tf.function(
            together, input_signature=signature, jit_compile=compiled
        )
        return traced

    def of_first(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """The numbers of the first process, for all to go by: machines may round differently."""
        told = np.asarray(values)
        if self.n == 1:
            return told
        mine = tf.constant(told if self.is_first else np.zeros_like(told))
        summed: npt.NDArray[Any] = self._summed(mine).numpy()
        return summed
