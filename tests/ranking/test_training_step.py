import numpy as np
import pytest

from contract.deep_worlds import CONTENT, SMALL, world
from contract.ranking_lists import WEIGHTS, linear_examples

tf = pytest.importorskip("tensorflow")

from audotics.ranking.batches import head_logits, model_inputs  # noqa: E402
from audotics.ranking.feeding import ListFeed, class_balance  # noqa: E402
from audotics.ranking.fitting import shape_of  # noqa: E402
from audotics.ranking.model import DeepRecommender  # noqa: E402
from audotics.ranking.quality import mean_ndcg  # noqa: E402
from audotics.ranking.training_loop import TrainStep, fit_lists, traced_scorer  # noqa: E402
from audotics.ranking.training_state import TrainingHistory  # noqa: E402

EXAMPLES = linear_examples(seed=1, n_lists=64)
CONFIG = SMALL.model_copy(update={"id_dropout": 0.0, "learning_rate": 0.01})


def made(**settings):
    model = DeepRecommender(CONFIG.model_copy(update=settings), shape_of(world(CONTENT), EXAMPLES))
    model.start_from(WEIGHTS, CONTENT)
    return model, TrainStep(model, class_balance(EXAMPLES), global_batch=CONFIG.batch_size)


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


def test_embeddings_rest_unless_lists_may_move_them():
    model, step = made(embedding_rate=0.0)
    before = [variable.numpy() for variable in model.vector_variables()]
    dense = model.shared[0].kernel.numpy()
    for batch in batches():
        for _ in range(2):
            step(batch)
    for old, variable in zip(before, model.vector_variables(), strict=True):
        assert np.array_equal(old, variable.numpy())
    assert not np.array_equal(dense, model.shared[0].kernel.numpy())


def test_embeddings_move_in_smaller_steps_than_layers():
    model, step = made(embedding_rate=0.1)
    before = model.tracks.table.numpy()
    for batch in batches():
        for _ in range(2):
            step(batch)
    # The first steps of Adam are as long as its rate.
    assert 0 < np.abs(model.tracks.table.numpy() - before).max() < 0.1 * CONFIG.learning_rate * 6


def test_averaging_gives_the_running_mean_of_the_weights():
    model, step = made(averaging=0.5)
    batch = next(iter(batches()))
    mean = None
    for _ in range(4):
        step(batch)
        now = model.skip.kernel.numpy()
        mean = now if mean is None else 0.5 * mean + 0.5 * now
    step.average()
    np.testing.assert_allclose(model.skip.kernel.numpy(), mean, atol=1e-6)


def test_likenesses_given_equal_likenesses_computed():
    model, _ = made()
    model.top.kernel.assign(np.random.default_rng(0).normal(size=model.top.kernel.shape))
    tensors = model_inputs(EXAMPLES.inputs)
    given = {**tensors, "likenesses": model.likenesses(tensors, training=False)}
    np.testing.assert_allclose(model(given)["play"], model(tensors)["play"], atol=1e-6)
    given["likenesses"] = given["likenesses"] + 1
    assert np.abs(np.subtract(model(given)["play"], model(tensors)["play"])).max() > 1e-3


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("embedding_rate", [0.0, 1.0])
def test_the_kept_weights_are_those_that_were_judged(averaging, embedding_rate):
    model, _ = made(averaging=averaging, embedding_rate=embedding_rate, epochs=5, patience=2)
    history = TrainingHistory()
    fit_lists(model, EXAMPLES, EXAMPLES, np.ones(EXAMPLES.inputs.track_index.shape, np.float32), history)
    judged = mean_ndcg(head_logits(traced_scorer(model), EXAMPLES.inputs, "play"), EXAMPLES)
    assert judged == pytest.approx(max(history.validation_ndcg), abs=1e-6)
