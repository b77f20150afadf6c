import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audotics.ranking.quality import validation_ndcg


def slow_ndcg(scores, labels, k, n_positives=None):
    order = sorted(range(len(scores)), key=lambda slot: -scores[slot])
    gained = sum(
        1 / np.log2(rank + 2)
        for rank, slot in enumerate(order[:k])
        if labels[slot] > 0 and scores[slot] > -np.inf
    )
    n = sum(label > 0 for label in labels) if n_positives is None else n_positives
    ideal = sum(1 / np.log2(rank + 2) for rank in range(min(n, k)))
    return gained / ideal if ideal else 0.0


def test_hand_computed():
    scores = np.array([[3.0, 1.0, 2.0]], np.float32)
    labels = np.array([[0.0, 1.0, 1.0]], np.float32)
    # Hits at ranks 2 and 3: 1/log2(3) + 1/log2(4) against 1 + 1/log2(3).
    expected = (0.63092975 + 0.5) / (1 + 0.63092975)
    assert validation_ndcg(scores, labels)[0] == pytest.approx(expected, abs=1e-6)


def test_positives_that_are_no_candidates_lower_the_score():
    scores = np.array([[2.0, 1.0]], np.float32)
    labels = np.array([[1.0, 0.0]], np.float32)
    assert validation_ndcg(scores, labels)[0] == 1
    assert validation_ndcg(scores, labels, n_positives=np.array([2]))[0] == pytest.approx(1 / 1.63092975)


def test_the_cutoff_bounds_the_ideal():
    scores = np.array([[3.0, 2.0, 1.0]], np.float32)
    labels = np.ones((1, 3), np.float32)
    assert validation_ndcg(scores, labels, k=2)[0] == 1


def test_a_list_without_positives_counts_zero():
    assert validation_ndcg(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32))[0] == 0


def test_padded_and_unknown_slots_are_no_hits():
    scores = np.array([[1.0, -np.inf, 0.0]], np.float32)
    labels = np.array([[np.nan, 1.0, 1.0]], np.float32)
    assert validation_ndcg(scores, labels)[0] == pytest.approx(0.63092975)


def test_ties_keep_the_order_of_the_slots():
    labels = np.array([[0.0, 1.0]], np.float32)
    assert validation_ndcg(np.zeros((1, 2), np.float32), labels)[0] == pytest.approx(0.63092975)


@given(
    arrays(np.float32, (3, 8), elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])),
    arrays(np.float32, (3, 8), elements=st.sampled_from([0.0, 1.0])),
    st.integers(1, 12),
    st.none() | arrays(np.int64, 3, elements=st.integers(8, 20)),
)
def test_equals_the_slow_definition(scores, labels, k, n_positives):
    labels = np.where(scores == -np.inf, 0, labels)
    expected = [
        slow_ndcg(s, row, k, None if n_positives is None else n_positives[i])
        for i, (s, row) in enumerate(zip(scores, labels, strict=True))
    ]
    np.testing.assert_allclose(validation_ndcg(scores, labels, k, n_positives), expected, atol=1e-6)
