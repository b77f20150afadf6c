import numpy as np
import pytest

from contract.deep_worlds import (
    CONTENT,
    GROUP_OF_TRACK,
    GROUP_OF_USER,
    N_TRACKS,
    SMALL,
    group_interactions,
    world,
)
from contract.ranking_lists import linear_examples

tf = pytest.importorskip("tensorflow")

from audotics.data.interactions import Interactions  # noqa: E402
from audotics.ranking.fitting import shape_of  # noqa: E402
from audotics.ranking.model import DeepRecommender  # noqa: E402
from audotics.ranking.pretraining import in_batch_loss, pretrain  # noqa: E402


def slow_loss(listener, track, users, tracks, log_q):
    losses = []
    for i in range(len(users)):
        rivals = [j for j in range(len(users)) if j == i or (tracks[j] != tracks[i] and users[j] != users[i])]
        logits = np.array([listener[i] @ track[j] - log_q[j] for j in rivals])
        losses.append(np.log(np.exp(logits).sum()) - logits[rivals.index(i)])
    return np.mean(losses)


def test_loss_follows_the_slow_definition_and_masks_accidental_hits():
    rng = np.random.default_rng(0)
    listener, track = rng.normal(size=(2, 6, 4)).astype(np.float32)
    users, tracks = np.array([0, 0, 1, 2, 3, 4], np.int32), np.array([5, 6, 5, 7, 8, 5], np.int32)
    log_q = np.log(rng.random(6)).astype(np.float32)
    loss = in_batch_loss(listener, track, tf.constant(users), tf.constant(tracks), log_q)
    assert loss.numpy() == pytest.approx(slow_loss(listener, track, users, tracks, log_q), rel=1e-5)


def test_without_rivals_there_is_no_loss():
    ones = np.ones((3, 2), np.float32)
    same = tf.constant([4, 4, 4])
    assert in_batch_loss(ones, ones, tf.constant([0, 1, 2]), same, np.zeros(3, np.float32)).numpy() == 0


def model(content=CONTENT, **settings):
    config = SMALL.model_copy(update=settings)
    made = DeepRecommender(config, shape_of(world(content), linear_examples(seed=1, n_lists=2)))
    made.start_from(np.zeros(6, np.float32), content)
    return made


def vectors(made):
    users = made.users(tf.range(60)).numpy()
    return users, made.track_vectors(tf.range(N_TRACKS), training=False).numpy()


@pytest.mark.parametrize("content", [CONTENT, np.zeros((N_TRACKS, 0), np.float32)], ids=["content", "ids"])
def test_listeners_come_near_the_tracks_of_their_group(content):
    made = model(content, pretraining_epochs=20)
    losses = pretrain(made, group_interactions())
    users, tracks = vectors(made)
    affinity = users @ tracks.T
    own = GROUP_OF_USER[:, None] == GROUP_OF_TRACK
    assert min(losses) < losses[0]
    assert affinity[own].mean() > affinity[~own].mean() + 1


def test_keeps_the_best_pass():
    made = model(pretraining_epochs=8, pretraining_rate=0.5)
    losses = pretrain(made, group_interactions())
    assert len(losses) <= 9
    assert losses[-1] > min(losses) or len(losses) == 9


def test_the_same_seed_gives_the_same_vectors():
    tf.config.experimental.enable_op_determinism()
    first, second = model(), model()
    assert pretrain(first, group_interactions()) == pretrain(second, group_interactions())
    for one, other in zip(vectors(first), vectors(second), strict=True):
        assert np.array_equal(one, other)


def test_too_few_pairs_leave_the_model_alone():
    made = model()
    before = vectors(made)[1]
    assert pretrain(made, Interactions.from_histories([[1, 2], [3]] + [[]] * 58, N_TRACKS)) == []
    assert np.array_equal(vectors(made)[1], before)


def test_no_passes_leave_the_model_alone():
    assert pretrain(model(pretraining_epochs=0), group_interactions()) == []
