"""What the deep ranker minimises: order inside a list, and the chance of each other reaction."""

from __future__ import annotations

import tensorflow as tf

_NEVER = -1e9


def listwise_softmax(
    scores: tf.Tensor, labels: tf.Tensor, present: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy between the plays of each list and the softmax of its scores (ListNet, Cao et al. 2007).

    Args:
        scores: ``[batch, width]``.
        labels: ``[batch, width]``, above 0 where played.
        present: ``[batch, width]`` bool.
        weights: ``[batch, width]``, how much a play counts (inverse exposure).

    Returns:
        ``[batch]``; 0 for lists without a play.
    """
    played = tf.where(present & (labels > 0), weights, tf.zeros_like(weights))
    total = tf.reduce_sum(played, axis=1)
    likelihood = tf.nn.log_softmax(tf.where(present, scores, _NEVER))
    return -tf.math.divide_no_nan(tf.reduce_sum(played * likelihood, axis=1), total)


def masked_cross_entropy(
    logits: tf.Tensor, labels: tf.Tensor, present: tf.Tensor, weights: tf.Tensor, balance: tf.Tensor
) -> tf.Tensor:
    """Binary cross-entropy over the candidates of which the reaction is known, mean by list.

    Args:
        logits: ``[batch, width, n_heads]``.
        labels: ``[batch, width, n_heads]``, NaN where unknown.
        present: ``[batch, width]`` bool.
        weights: ``[batch, width]``, how much a candidate counts (inverse exposure).
        balance: ``[n_heads, 2]``, weights of the classes 0 and 1.

    Returns:
        ``[batch, n_heads]``; 0 where a list knows nothing.
    """
    known = present[..., None] & ~tf.math.is_nan(labels)
    happened = tf.where(known, labels, 0.0)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(happened, logits)
    entropy *= balance[:, 0] + (balance[:, 1] - balance[:, 0]) * happened
    counted = tf.where(known, weights[..., None], 0.0)
    return tf.math.divide_no_nan(tf.reduce_sum(entropy * counted, axis=1), tf.reduce_sum(counted, axis=1))
