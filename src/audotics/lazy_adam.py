"""Adam that touches only the embedding rows a batch has used."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="audotics")
class LazyAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam (Kingma and Ba 2015) whose sparse gradients update moments and weights of the hit rows only.

    Keras' Adam decays the moments of the whole table at every step and does not merge ids that repeat
    in a batch: ``n`` equal ids then count as the sum of ``n`` squared gradients instead of the square
    of their sum, and popular tracks get inflated steps. Here repeated ids are summed first, then

        m_r <- b1 m_r + (1 - b1) g_r,   v_r <- b2 v_r + (1 - b2) g_r^2,
        w_r <- w_r - rate * sqrt(1 - b2^t) / (1 - b1^t) * m_r / (sqrt(v_r) + epsilon)

    for the rows ``r`` in the batch, with the global step ``t``; other rows stay. Dense gradients follow
    plain Adam. State is that of Adam, so it is saved and loaded like that of any Keras optimizer.
    """

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Apply one gradient to its variable."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        place = self._get_variable_index(variable)
        rows, position = tf.unique(gradient.indices)
        summed = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
        first = self._decayed(self._momentums[place].value, rows, summed, self.beta_1)
        second = self._decayed(self._velocities[place].value, rows, tf.square(summed), self.beta_2)
        step = tf.cast(self.iterations + 1, summed.dtype)
        rate = tf.cast(learning_rate, summed.dtype)
        rate *= tf.sqrt(1 - tf.pow(self.beta_2, step)) / (1 - tf.pow(self.beta_1, step))
        change = rate * first / (tf.sqrt(second) + self.epsilon)
        variable.scatter_sub(tf.IndexedSlices(change, rows))

    @staticmethod
    def _decayed(moment: tf.Variable, rows: tf.Tensor, news: tf.Tensor, beta: float) -> tf.Tensor:
        value = beta * tf.gather(moment, rows) + (1 - beta) * news
        moment.scatter_update(tf.IndexedSlices(value, rows))
        return value
