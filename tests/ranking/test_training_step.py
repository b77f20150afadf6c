import numpy as np
import pytest

from contract.deep_worlds import CONTENT, SMALL, world
from contract.ranking_lists import WEIGHTS, linear_examples

tf = pytest.importorskip("tensorflow")

from audotics.lazy_adam import LazyAdam  # noqa: E402
from audotics.ranking.feeding import ListFeed, class_balance  # noqa: E402
from audotics.ranking.fitting import shape_of  # noqa: E402
from audotics.ranking.model import DeepRecommender  # noqa: E402
from audotics.ranking.training_loop import TrainingHistory, TrainStep, traced_scorer  # noqa: E402

EXAMPLES = linear_examples(seed=1, n_lists=64)
CONFIG = SMALL.model_copy(update={"id_dropout": 0.0})


def made():
    model = DeepRecommender(CONFIG, shape_of(world(CONTENT), EXAMPLES))
    model.start_from(WEIGHTS, CONTENT)
    optimizer = LazyAdam(0.01)
    return model, TrainStep(model, optimizer, class_balance(EXAMPLES), global_batch=CONFIG.batch_size)


def batches():
    return ListFeed(EXAMPLES, np.ones(EXAMPLES.inputs.track_index.shape, np.float32), CONFIG).epoch(0)


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


def test_loss_falls_on_a_repeated_batch():
    _, step = made()
    batch = next(iter(batches()))
    traced = tf.function(step)
    losses = [float(traced(batch)) for _ in range(30)]
    assert losses[-1] < losses[0] - 0.1


def test_only_embeddings_of_the_batch_move():
    model, step = made()
    before = model.users.table.numpy()
    for batch in batches():
        for _ in range(2):
            step(batch)
    moved = np.flatnonzero((model.users.table.numpy() != before).any(axis=1))
    last = len(before) - 1
    rows = np.where(EXAMPLES.inputs.user_index >= 0, EXAMPLES.inputs.user_index, last)
    assert set(moved) == set(rows)


def test_runs_unchanged_under_a_distribution_strategy():
    strategy = tf.distribute.MirroredStrategy(devices=["/cpu:0"])
    with strategy.scope():
        model, step = made()
    distributed = tf.function(lambda batch: strategy.run(step, args=(batch,)))
    plain_model, plain_step = made()
    plain = tf.function(plain_step)
    for batch in batches():
        share = strategy.reduce(tf.distribute.ReduceOp.SUM, distributed(batch), axis=None)
        assert float(share) == pytest.approx(float(plain(batch)), rel=1e-5)
    for one, other in zip(weights(model), weights(plain_model), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_scorer_is_traced_once_for_all_shapes():
    model, _ = made()
    scorer = traced_scorer(model)
    for batch, width in ((1, 5), (3, 40), (7, 2)):
        inputs = {
            "features": np.zeros((batch, width, 6), np.float32),
            "track_index": np.zeros((batch, width), np.int32),
            "user_index": np.zeros(batch, np.int32),
            "context": np.zeros((batch, 3), np.float32),
            "recent": np.zeros((batch, 5), np.int32),
        }
        assert scorer(inputs)["play"].shape == (batch, width)


def test_the_best_epoch_is_the_first_of_equals():
    assert TrainingHistory(validation_ndcg=[0.3, 0.5, 0.5]).best_epoch == 1
    assert TrainingHistory(validation_ndcg=[0.3, 0.3]).best_epoch == 0
