import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from audotics.ranking.embedding import GatherEmbedding  # noqa: E402


def layer(**settings):
    return GatherEmbedding(
        **{"n_known": 5, "n_hashed": 3, "dim": 2, "id_dropout": 0.0, "seed": 1, **settings}
    )


def test_known_and_hashed_indices_have_rows_and_all_others_share_the_last():
    embedding = layer()
    rows = embedding(tf.constant([[0, 4, 5], [7, -1, 8]], tf.int32)).numpy()
    table = embedding.table.numpy()
    assert table.shape == (9, 2)
    np.testing.assert_array_equal(rows, table[[[0, 4, 5], [7, 8, 8]]])


def test_gradient_is_sparse():
    embedding = layer()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(embedding(tf.constant([1, 1, -1], tf.int32)))
    gradient = tape.gradient(loss, embedding.table.value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.indices.numpy().tolist() == [1, 1, 8]


def test_hidden_ids_go_to_the_hashed_and_the_unknown_rows_in_training_only():
    embedding = layer(id_dropout=0.4, n_known=2)
    index = tf.ones((20_000,), tf.int32)
    table = embedding.table.numpy()

    def share(rows, row):
        return (rows == table[row]).all(axis=1).mean()

    trained = embedding(index, training=True).numpy()
    # Index 1 hashes to the row 2 + 1 % 3; half of the hidden go there, half to the last row.
    assert share(trained, 1) == pytest.approx(0.6, abs=0.02)
    assert share(trained, 3) == pytest.approx(0.2, abs=0.02)
    assert share(trained, 5) == pytest.approx(0.2, abs=0.02)
    assert share(embedding(index).numpy(), 1) == 1


def test_configuration_makes_the_same_layer():
    embedding = layer(id_dropout=0.3)
    again = GatherEmbedding.from_config(embedding.get_config())
    assert np.array_equal(again.table.numpy(), embedding.table.numpy())
    index = tf.zeros((50,), tf.int32)
    assert np.array_equal(again(index, training=True).numpy(), embedding(index, training=True).numpy())
