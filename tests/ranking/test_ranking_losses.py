import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from audotics.ranking.losses import listwise_softmax, masked_cross_entropy  # noqa: E402

NAN = float("nan")


def listwise(scores, labels, present, weights):
    return listwise_softmax(scores, np.array(labels, np.float32), present, weights)


def test_listwise_loss_by_hand():
    scores = np.log([[1.0, 2.0, 5.0]]).astype(np.float32)
    loss = listwise(scores, [[0.0, 1.0, 1.0]], np.ones((1, 3), bool), np.ones((1, 3), np.float32))
    # Shares 1/8, 2/8, 5/8: the mean of -log(2/8) and -log(5/8).
    assert loss.numpy()[0] == pytest.approx(-(np.log(2 / 8) + np.log(5 / 8)) / 2, rel=1e-5)


def test_weights_share_out_the_target():
    scores = np.log([[1.0, 3.0]]).astype(np.float32)
    weights = np.array([[3.0, 1.0]], np.float32)
    loss = listwise(scores, [[1.0, 1.0]], np.ones((1, 2), bool), weights)
    assert loss.numpy()[0] == pytest.approx(-(0.75 * np.log(0.25) + 0.25 * np.log(0.75)), rel=1e-5)


def test_padding_is_no_rival_and_no_play():
    scores = np.array([[0.0, 1.0, 50.0]], np.float32)
    present = np.array([[True, True, False]])
    ones = np.ones((1, 3), np.float32)
    with_padding = listwise(scores, [[1.0, 0.0, NAN]], present, ones).numpy()
    without = listwise(scores[:, :2], [[1.0, 0.0]], present[:, :2], ones[:, :2]).numpy()
    np.testing.assert_allclose(with_padding, without, rtol=1e-6)


def test_lists_without_a_play_cost_nothing_and_have_no_gradient():
    scores = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        loss = listwise(scores, [[0.0, 0.0]], np.ones((1, 2), bool), np.ones((1, 2), np.float32))
    assert loss.numpy().tolist() == [0.0]
    assert tape.gradient(loss, scores).numpy().tolist() == [[0.0, 0.0]]


def cross_entropy(logits, labels, present, weights=None, balance=((1.0, 1.0),)):
    weights = np.ones(np.shape(present), np.float32) if weights is None else weights
    return masked_cross_entropy(
        np.array(logits, np.float32),
        np.array(labels, np.float32),
        np.array(present),
        weights,
        tf.constant(balance),
    ).numpy()


def test_cross_entropy_by_hand():
    loss = cross_entropy([[[0.0], [2.0]]], [[[0.0], [1.0]]], [[True, True]])
    assert loss[0, 0] == pytest.approx((np.log(2) + np.log1p(np.exp(-2))) / 2, rel=1e-5)


def test_unknown_and_padded_labels_are_left_out():
    known = cross_entropy([[[1.0]]], [[[1.0]]], [[True]])
    loss = cross_entropy([[[1.0], [9.0], [-9.0]]], [[[1.0], [NAN], [1.0]]], [[True, True, False]])
    np.testing.assert_allclose(loss, known, rtol=1e-6)
    assert cross_entropy([[[1.0]]], [[[NAN]]], [[True]]).tolist() == [[0.0]]


def test_unknown_labels_leave_a_finite_gradient():
    logits = tf.Variable([[[1.0], [2.0]]])
    labels = tf.constant([[[NAN], [1.0]]])
    with tf.GradientTape() as tape:
        loss = masked_cross_entropy(
            logits, labels, tf.constant([[True, True]]), tf.ones((1, 2)), tf.ones((1, 2))
        )
    gradient = tape.gradient(loss, logits).numpy()
    assert gradient[0, 0, 0] == 0
    assert gradient[0, 1, 0] == pytest.approx(-1 / (1 + np.exp(2)), rel=1e-5)


def test_class_and_exposure_weights():
    balance = ((0.5, 3.0),)
    weights = np.array([[1.0, 3.0]], np.float32)
    loss = cross_entropy([[[0.0], [0.0]]], [[[0.0], [1.0]]], [[True, True]], weights, balance)
    assert loss[0, 0] == pytest.approx((0.5 * 1 + 3.0 * 3) / 4 * np.log(2), rel=1e-5)
