from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from audotics.data.compressed import Compressed
from audotics.domain import PADDING
from audotics.recommender.score_rows import (
    Barred,
    DenseRows,
    ScoreRows,
    SharedRow,
    SparseRows,
    Wanted,
    rows_of,
)
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.protocol import Scores
from audotics.retrieval.vector_index import VectorIndex

MANY = 3000
"""Tracks: enough that cuts are guessed."""


def planted(seed: int, stored: float, n_tracks: int = MANY, batch: int = 7) -> np.ndarray:
    """Scores with many zeros, many equals, some below 0 and rows of very different fullness."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-20, 200, (batch, n_tracks)).astype(np.float32) / 8
    fullness = stored * rng.random((batch, 1)) * 2
    scores[rng.random(scores.shape) >= fullness] = 0.0
    scores[0] = 0.0
    return scores


def compressed(scores: np.ndarray) -> Compressed:
    matrix = sparse.csr_matrix(scores)
    return Compressed(matrix.data, matrix.indices, matrix.indptr, scores.shape[1])


def barring(seed: int, shape: tuple[int, int], share: float) -> Barred:
    return Barred.of(np.random.default_rng(seed + 1).random(shape) < share)


def expected(scores: np.ndarray, k: int, barred: Barred) -> np.ndarray:
    left = np.where(barred.mask, -np.inf, scores)
    order = np.argsort(-left, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(left, order, axis=1) == -np.inf, PADDING, order)


SEEDS = st.integers(0, 2**31)
SHARES = st.sampled_from([0.0, 0.01, 0.5, 0.97, 1.0])
LENGTHS = st.sampled_from([1, 20, 300, 2 * MANY])


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.002, 0.05, 0.5]), SHARES, LENGTHS)
def test_sparse_rows_give_what_sorting_gives(seed: int, stored: float, share: float, k: int) -> None:
    scores = planted(seed, stored)
    barred = barring(seed, scores.shape, share)
    rows = SparseRows(compressed(scores))
    np.testing.assert_array_equal(rows.best(k, barred), expected(scores, k, barred))


@settings(max_examples=30, deadline=None)
@given(SEEDS, SHARES, LENGTHS)
def test_dense_and_shared_rows_give_what_sorting_gives(seed: int, share: float, k: int) -> None:
    scores = planted(seed, 0.5)
    barred = barring(seed, scores.shape, share)
    same = np.tile(scores[1], (len(scores), 1))
    shared = SharedRow(scores[1], len(scores)).best(k, barred)
    np.testing.assert_array_equal(shared, expected(same, k, barred))
    np.testing.assert_array_equal(DenseRows(scores.copy()).best(k, barred), expected(scores, k, barred))


def test_entries_in_any_order_and_stored_zeros_count_as_they_are() -> None:
    data = np.array([1.0, 0.0, 3.0, -1.0, 3.0], np.float32)
    matrix = Compressed(data, np.array([5, 0, 4, 1, 2], np.int32), np.array([0, 5]), 6)
    nothing = Barred.of(np.zeros((1, 6), np.bool_))
    assert SparseRows(matrix).best(6, nothing).tolist() == [[2, 4, 5, 0, 3, 1]]


@given(SEEDS)
def test_scores_of_candidates_are_read_from_every_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = planted(seed, 0.3, n_tracks=60)
    tracks = np.sort(rng.permuted(np.tile(np.arange(60), (len(scores), 1)), axis=1)[:, :9], axis=1)
    tracks = np.where(np.arange(9) < rng.integers(0, 10, (len(scores), 1)), tracks, PADDING).astype(np.int32)
    wanted = Wanted(tracks, 60)
    present = tracks != PADDING
    forms: list[tuple[ScoreRows, np.ndarray]] = [
        (DenseRows(scores), scores),
        (SparseRows(compressed(scores)), scores),
        (SharedRow(scores[2], len(scores)), np.tile(scores[2], (len(scores), 1))),
    ]
    for rows, whole in forms:
        found = rows.at(wanted)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(
            found[present], np.take_along_axis(whole, np.maximum(tracks, 0), axis=1)[present]
        )


def test_very_long_lists_of_candidates_are_found() -> None:
    n_tracks = 40_000
    scores = planted(3, 0.2, n_tracks, batch=2)
    tracks = np.tile(np.arange(n_tracks - 1, dtype=np.int32), (2, 1))
    rows = SparseRows(compressed(scores))
    np.testing.assert_array_equal(rows.at(Wanted(tracks, n_tracks)), scores[:, :-1])


@pytest.mark.parametrize(
    ("scores", "form"),
    [
        (compressed(np.eye(4, dtype=np.float32)), SparseRows),
        (np.eye(4, dtype=np.float32), DenseRows),
        (np.broadcast_to(np.arange(4, dtype=np.float32), (4, 4)), SharedRow),
    ],
)
def test_each_form_of_scores_has_its_rows(scores: Scores, form: type) -> None:
    rows = rows_of(scores, 1, 3)
    assert isinstance(rows, form)
    whole = scores.toarray() if isinstance(scores, Compressed) else np.array(scores)
    nothing = Barred.of(np.zeros((2, 4), np.bool_))
    np.testing.assert_array_equal(rows.best(3, nothing), expected(whole[1:3], 3, nothing))


def test_arrays_that_must_not_be_changed_are_not() -> None:
    scores = np.random.default_rng(0).random((4, 9)).astype(np.float32)
    scores.flags.writeable = False
    before = scores.copy()
    rows_of(scores, 0, 4).best(3, barring(0, scores.shape, 0.5))
    np.testing.assert_array_equal(scores, before)


def products(n_tracks: int, near: np.ndarray) -> InnerProducts:
    """Three queries; the index finds nothing but ``near`` promising."""
    rng = np.random.default_rng(1)
    promise = np.zeros((1, n_tracks), np.float32)
    promise[0, near] = 1.0
    index = VectorIndex(np.array([[1.0], [0.0]], np.float32), promise, max(1, n_tracks // 4), 1.0)
    vectors = rng.integers(0, 9, (n_tracks, 2)).astype(np.float32)
    entries = Compressed(
        np.array([50.0, 3.0], np.float32), np.array([7, 2], np.int32), np.array([0, 1, 1, 2]), n_tracks
    )
    return InnerProducts(np.array([[1, 0], [2, 1], [3, 1]], np.float32), vectors, index, entries)


def test_products_are_selected_among_what_the_index_finds() -> None:
    promising = np.flatnonzero(np.random.default_rng(2).random(200) < 0.3)
    scores = products(200, promising)
    barred = barring(0, (3, 200), 0.2)
    best = rows_of(scores, 0, 3).best(10, barred)
    whole = scores.toarray()
    looked_at = np.full(whole.shape, -np.inf)
    looked_at[:, promising] = whole[:, promising]
    looked_at[[0, 2], [7, 2]] = whole[[0, 2], [7, 2]]
    np.testing.assert_array_equal(best, expected(looked_at, 10, barred))
    np.testing.assert_array_equal(rows_of(scores, 1, 2).best(10, Barred.of(barred.mask[1:2]))[0], best[1])


def test_all_products_are_compared_where_the_index_finds_too_few() -> None:
    scores = products(200, np.arange(5))
    barred = barring(0, (3, 200), 0.2)
    best = rows_of(scores, 0, 3).best(40, barred)
    np.testing.assert_array_equal(best, expected(scores.toarray(), 40, barred))


def test_products_of_candidates_are_computed_for_them_alone() -> None:
    scores = products(200, np.arange(0, 200, 3))
    tracks = np.array([[2, 7, 199], [0, 2, PADDING], [PADDING] * 3], np.int32)
    found = rows_of(scores, 0, 3).at(Wanted(tracks, 200))
    whole = scores.toarray()
    np.testing.assert_array_equal(found[0], whole[0, tracks[0]])
    np.testing.assert_array_equal(found[1, :2], whole[1, tracks[1, :2]])
