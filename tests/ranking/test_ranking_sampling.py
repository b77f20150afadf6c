import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audotics.ranking.sampling import pointwise, sample_slots, take_slots, within_budget
from contract.ranking_lists import linear_examples


@given(st.integers(0, 1000), st.integers(1, 15), st.floats(0, 1), st.floats(0.2, 1))
def test_every_slot_is_kept_at_most_once_and_the_telling_ones_first(seed, n_kept, share, filled):
    rng = np.random.default_rng(seed)
    present = rng.random((6, 15)) < filled
    labels = (rng.random((6, 15, 2)) < share).astype(np.float32)
    slots = sample_slots(present, labels, n_kept, rng)
    assert slots.shape == (6, n_kept)
    for row, chosen in enumerate(slots):
        assert len(set(chosen)) == n_kept
        positive = labels[row].any(axis=-1) & present[row]
        negative = present[row] & ~positive
        kept_positive, kept_negative = positive[chosen].sum(), negative[chosen].sum()
        assert present[row][chosen].sum() == min(n_kept, present[row].sum())
        assert kept_positive >= min(positive.sum(), (n_kept + 1) // 2)
        assert kept_negative >= min(negative.sum(), n_kept // 2)


def test_negatives_are_uniform():
    present = np.ones((20_000, 10), bool)
    labels = np.zeros((20_000, 10, 1), np.float32)
    labels[:, 0] = 1
    slots = sample_slots(present, labels, 4, np.random.default_rng(0))
    counts = np.bincount(slots.ravel(), minlength=10)
    assert counts[0] == 20_000
    # 3 of 9 negatives each: a binomial share of 1/3 with a deviation of 67.
    assert np.all(np.abs(counts[1:] - 20_000 / 3) < 5 * 67)


def test_unknown_labels_are_not_positive():
    labels = np.full((1, 4, 2), np.nan, np.float32)
    labels[0, 2] = [0, 1]
    slots = sample_slots(np.ones((1, 4), bool), labels, 1, np.random.default_rng(0))
    assert slots.tolist() == [[2]]


def test_taken_slots_stay_together():
    examples = linear_examples(seed=5, n_lists=4, width=10)
    slots = np.tile([3, 1], (4, 1))
    taken = take_slots(examples, slots)
    assert np.array_equal(taken.inputs.features[:, 0], examples.inputs.features[:, 3])
    assert np.array_equal(taken.inputs.track_index[:, 1], examples.inputs.track_index[:, 1])
    assert np.array_equal(taken.labels[:, 0], examples.labels[:, 3])


def test_budget_leaves_small_data_alone_and_shrinks_the_rest():
    examples = linear_examples(seed=5, n_lists=20, width=80)
    assert within_budget(examples, 1600, seed=0) is examples
    smaller = within_budget(examples, 1200, seed=0)
    assert smaller.inputs.track_index.shape == (20, 60)
    assert smaller.labels.sum() == examples.labels.sum()
    assert within_budget(examples, 10, seed=0).inputs.track_index.shape == (20, 50)


def test_rows_of_present_candidates():
    examples = linear_examples(seed=5, n_lists=8, width=10)
    features, played = pointwise(examples)
    assert features.shape == (examples.inputs.present.sum(), 6)
    assert played.sum() == examples.labels.sum()
    assert set(played.tolist()) == {0, 1}
