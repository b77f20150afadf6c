from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audotics.retrieval.top_k import top_k

# Few distinct values, so that ties stand at every edge.
SCORES = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 12)),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]),
)


@given(SCORES, st.integers(1, 15))
def test_equals_a_stable_sort(scores: np.ndarray, k: int) -> None:
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    expected[np.take_along_axis(scores, expected, axis=1) == -np.inf] = -1
    np.testing.assert_array_equal(top_k(scores, k), expected)


def test_no_rows_give_no_rows() -> None:
    assert top_k(np.zeros((0, 7), np.float32), 3).shape == (0, 3)


@pytest.mark.parametrize("k", [1, 10, 500])
def test_large_random_scores(k: int) -> None:
    scores = np.random.default_rng(0).normal(size=(20, 5000)).astype(np.float32)
    np.testing.assert_array_equal(top_k(scores, k), np.argsort(-scores, axis=1)[:, :k])


@pytest.mark.parametrize("k", [1, 20, 200])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
def test_wide_rows_with_many_equal_scores(k: int, share: float) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(1, 9, size=(30, 6000)).astype(np.float32)
    scores[rng.random(scores.shape) > share] = 0
    scores[rng.random(scores.shape) < 0.01] = -np.inf
    scores[3] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    expected[np.take_along_axis(scores, expected, axis=1) == -np.inf] = -1
    np.testing.assert_array_equal(top_k(scores, k), expected)


def test_a_guess_misled_by_the_sample_changes_nothing() -> None:
    scores = np.random.default_rng(2).random((4, 8192)).astype(np.float32)
    scores[:, ::8] += 1  # the sample sees only high scores
    np.testing.assert_array_equal(top_k(scores, 1500), np.argsort(-scores, axis=1)[:, :1500])
