import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

from audotics.lazy_adam import LazyAdam  # noqa: E402

RATE, B1, B2, EPSILON = 0.01, 0.9, 0.999, 1e-7


def slow_lazy_adam(table: np.ndarray, steps: list[tuple[list[int], np.ndarray]]) -> np.ndarray:
    """Row by row in double precision, summing the gradients of equal ids first."""
    table = table.astype(np.float64).copy()
    first, second = np.zeros_like(table), np.zeros_like(table)
    for t, (ids, gradients) in enumerate(steps, start=1):
        for row in set(ids):
            summed = sum(gradients[place].astype(np.float64) for place, i in enumerate(ids) if i == row)
            first[row] = B1 * first[row] + (1 - B1) * summed
            second[row] = B2 * second[row] + (1 - B2) * summed**2
            rate = RATE * np.sqrt(1 - B2**t) / (1 - B1**t)
            table[row] -= rate * first[row] / (np.sqrt(second[row]) + EPSILON)
    return table


@pytest.fixture
def steps():
    rng = np.random.default_rng(0)
    return [
        (ids, rng.normal(size=(len(ids), 3)).astype(np.float32))
        for ids in ([0, 2, 2, 2, 5], [5, 5], [0], [2, 0, 0, 1], [5, 1, 5, 1, 5, 1])
    ]


def variable(values: np.ndarray) -> keras.Variable:
    return keras.Variable(values, name="table")


def apply(optimizer: LazyAdam, table: keras.Variable, ids: list[int], gradients: np.ndarray) -> None:
    slices = tf.IndexedSlices(tf.constant(gradients), tf.constant(ids), dense_shape=table.shape)
    optimizer.apply([slices], [table])


def test_follows_the_slow_reference_with_repeated_ids(steps):
    start = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    table, optimizer = variable(start), LazyAdam(RATE)
    for ids, gradients in steps:
        apply(optimizer, table, ids, gradients)
    np.testing.assert_allclose(table.numpy(), slow_lazy_adam(start, steps), atol=2e-6)


def test_rows_that_are_not_hit_do_not_move(steps):
    start = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    table, optimizer = variable(start), LazyAdam(RATE)
    for ids, gradients in steps:
        apply(optimizer, table, ids, gradients)
    assert np.array_equal(table.numpy()[[3, 4, 6, 7]], start[[3, 4, 6, 7]])
    assert all(np.all(slot.numpy()[[3, 4, 6, 7]] == 0) for slot in optimizer.variables[2:])


def test_the_first_step_is_no_larger_than_the_rate():
    table, optimizer = variable(np.zeros((2, 1), np.float32)), LazyAdam(RATE)
    apply(optimizer, table, [0] * 9 + [1], np.ones((10, 1), np.float32))
    np.testing.assert_allclose(table.numpy(), [[-RATE], [-RATE]], rtol=1e-3)


def test_dense_gradients_follow_plain_adam():
    rng = np.random.default_rng(2)
    start = rng.normal(size=(4, 2)).astype(np.float32)
    ours, plain = variable(start), variable(start)
    lazy, adam = LazyAdam(RATE), keras.optimizers.Adam(RATE)
    for _ in range(5):
        gradient = tf.constant(rng.normal(size=(4, 2)).astype(np.float32))
        lazy.apply([gradient], [ours])
        adam.apply([gradient], [plain])
    np.testing.assert_array_equal(ours.numpy(), plain.numpy())


def test_each_variable_has_two_slots_of_its_own_shape():
    optimizer = LazyAdam(RATE)
    optimizer.build([variable(np.zeros((5, 3), np.float32)), variable(np.zeros((2,), np.float32))])
    assert [tuple(v.shape) for v in optimizer.variables] == [(), (), (5, 3), (5, 3), (2,), (2,)]


def test_saved_and_loaded_state_continues_identically(steps):
    start = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    table, optimizer = variable(start), LazyAdam(RATE)
    for ids, gradients in steps[:3]:
        apply(optimizer, table, ids, gradients)

    store: dict[str, np.ndarray] = {}
    optimizer.save_own_variables(store)
    again, resumed = variable(table.numpy()), LazyAdam.from_config(optimizer.get_config())
    resumed.build([again])
    resumed.load_own_variables(store)

    for ids, gradients in steps[3:]:
        apply(optimizer, table, ids, gradients)
        apply(resumed, again, ids, gradients)
    assert np.array_equal(table.numpy(), again.numpy())
    assert int(resumed.iterations) == len(steps)


def test_works_inside_a_graph(steps):
    start = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    table, optimizer = variable(start), LazyAdam(RATE)
    optimizer.build([table])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 3])])
    def step(ids, gradients):
        optimizer.apply([tf.IndexedSlices(gradients, ids, dense_shape=table.shape)], [table])

    for ids, gradients in steps:
        step(tf.constant(ids, tf.int32), tf.constant(gradients))
    np.testing.assert_allclose(table.numpy(), slow_lazy_adam(start, steps), atol=2e-6)
