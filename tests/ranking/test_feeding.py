from dataclasses import replace

import numpy as np
import pytest

from contract.ranking_lists import linear_examples

pytest.importorskip("tensorflow")

from audotics.ranking.config import ModelConfig
from audotics.ranking.feeding import ListFeed, class_balance
from audotics.ranking.protocol import RankingExamples


def numbered(n_lists):
    """Lists whose user index is their number."""
    examples = linear_examples(seed=1, n_lists=n_lists, width=20)
    inputs = replace(examples.inputs, user_index=np.arange(n_lists, dtype=np.int32))
    return replace(examples, inputs=inputs)


def batches(examples, epoch=0, **settings):
    config = ModelConfig(**{"batch_size": 8, "candidates_per_list": 10, **settings})
    weights = np.arange(examples.inputs.n_lists, dtype=np.float32)[:, None] + np.zeros((1, 20), np.float32)
    return [
        {name: tensor.numpy() for name, tensor in batch.items()}
        for batch in ListFeed(examples, weights, config).epoch(epoch)
    ]


def test_every_list_comes_once_and_the_last_batch_is_filled():
    found = batches(numbered(20))
    users = np.concatenate([batch["user_index"] for batch in found])
    assert [len(batch["user_index"]) for batch in found] == [8, 8, 8]
    assert sorted(users[:20]) == list(range(20))
    assert users[20:].tolist() == users[:4].tolist()


def test_parts_of_a_candidate_stay_together():
    examples = numbered(20)
    for batch in batches(examples):
        for row, user in enumerate(batch["user_index"]):
            places = [
                int(np.flatnonzero(examples.inputs.track_index[user] == track)[0])
                for track in batch["track_index"][row]
            ]
            assert np.array_equal(batch["features"][row], examples.inputs.features[user, places])
            assert np.array_equal(batch["labels"][row], examples.labels[user, places])
        assert np.array_equal(batch["weights"][:, 0], batch["user_index"])


def test_given_likenesses_stay_with_their_candidates():
    examples = numbered(12)
    track = examples.inputs.track_index
    likenesses = np.stack([track, track + 1000], axis=-1).astype(np.float32)
    config = ModelConfig(batch_size=8, candidates_per_list=10)
    feed = ListFeed(examples, np.ones(track.shape, np.float32), config, likenesses)
    for batch in feed.epoch(0):
        expected = np.stack([batch["track_index"], batch["track_index"] + 1000], axis=-1)
        np.testing.assert_array_equal(batch["likenesses"], expected)


def test_many_lists_get_fewer_candidates_each():
    examples = linear_examples(seed=1, n_lists=10, width=90)
    weights = np.ones((10, 90), np.float32)

    def kept(**settings):
        first = next(iter(ListFeed(examples, weights, ModelConfig(**settings)).epoch(0)))
        return first["track_index"].shape[1]

    assert kept() == 90
    assert kept(candidates_per_list=80) == 80
    assert kept(candidates_per_pass=700) == 70
    assert kept(candidates_per_pass=10) == 64


def test_candidates_and_order_change_with_the_pass_and_repeat_with_the_seed():
    examples = numbered(20)
    first, again, second = batches(examples), batches(examples), batches(examples, epoch=1)
    assert all(np.array_equal(a["track_index"], b["track_index"]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0]["user_index"], second[0]["user_index"])


def test_lists_in_which_nothing_happened_are_left_out():
    examples = numbered(20)
    labels = examples.labels.copy()
    labels[5:] = 0
    found = batches(replace(examples, labels=labels))
    assert [sorted(batch["user_index"]) for batch in found] == [[0, 1, 2, 3, 4]]


def test_both_classes_weigh_the_same():
    inputs = linear_examples(seed=1, n_lists=1, width=4).inputs
    nan = np.nan
    labels = np.array([[[1, 1, 0, nan], [0, 0, 0, nan], [0, 0, nan, nan], [0, 0, 0, nan]]], np.float32)
    examples = RankingExamples(inputs, labels, ("play", "complete", "like", "skip"))
    # complete: three 0 and one 1; like: three 0 and no 1; skip: nothing known.
    np.testing.assert_allclose(class_balance(examples), [[4 / 6, 2], [0.5, 1], [1, 1]], rtol=1e-6)
