"""Coverage, novelty, diversity and popularity lift."""

from __future__ import annotations

from itertools import combinations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from audotics.data.interactions import Interactions
from audotics.evaluation import diversity

LISTS = np.array([[0, 1], [0, 2], [0, -1], [-1, -1]], np.int32)


def test_exposure_counts_lists_not_padding() -> None:
    assert diversity.exposure(LISTS, 5).tolist() == [3, 1, 1, 0, 0]


def test_coverage_by_hand() -> None:
    assert diversity.coverage(diversity.exposure(LISTS, 5)) == pytest.approx(3 / 5)
    assert diversity.coverage(np.zeros(0, np.int64)) == 0.0


def test_places_for_new_tracks_by_hand() -> None:
    assert diversity.new_track_share(LISTS, np.array([True, True, False])) == pytest.approx(1 / 5)
    assert diversity.new_track_share(LISTS[3:], np.zeros(3, np.bool_)) == 0.0


def test_places_for_heard_tracks_by_hand() -> None:
    profiles = Interactions.from_histories([[0, 1], [1], [0], [2]], 3)
    assert diversity.repeat_share(LISTS, profiles) == pytest.approx(3 / 5)
    assert diversity.repeat_share(LISTS[3:], profiles.rows(np.array([3]))) == 0.0
    beyond = np.array([[7, 0]], np.int32)
    assert diversity.repeat_share(beyond, profiles.rows(np.array([0]))) == pytest.approx(1 / 2)


def test_novelty_by_hand() -> None:
    # 7 listeners; one added to each: p = 8/8, 4/8, 1/8.
    heard_by = np.array([7, 3, 0])
    found = diversity.novelty(LISTS, heard_by, n_users=7)
    assert found[:3] == pytest.approx([(0 + 1) / 2, (0 + 3) / 2, 0.0])
    assert np.isnan(found[3])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True))
def test_novelty_is_mean_self_information(tracks: list[int]) -> None:
    heard_by = np.arange(100)
    found = diversity.novelty(np.array([tracks], np.int32), heard_by, n_users=200)
    assert found[0] == pytest.approx(np.mean([-log2((heard_by[t] + 1) / 201) for t in tracks]))
    assert found[0] > 0


def test_diversity_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 2], [3, 0], [0, 0]], np.float32)
    lists = np.array([[0, 1, -1], [0, 2, -1], [0, 1, 2], [0, 3, -1], [0, 3, 1], [-1] * 3], np.int32)
    found = diversity.intra_list_diversity(lists, vectors)
    assert found[:3] == pytest.approx([1.0, 0.0, 1 - 1 / 3])
    assert np.isnan(found[3]), "one described track makes no pair"
    assert found[4] == pytest.approx(1.0), "tracks without content are left out"
    assert np.isnan(found[5])


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(np.float32, (8, 3), elements=st.sampled_from([-2.0, -1.0, 0.5, 1.0, 3.0])),
    st.lists(st.integers(0, 7), min_size=2, max_size=8, unique=True),
)
def test_diversity_is_one_minus_mean_pairwise_cosine(vectors: np.ndarray, tracks: list[int]) -> None:
    expected = 1 - np.mean(
        [cosine_similarity(vectors[[a]], vectors[[b]])[0, 0] for a, b in combinations(tracks, 2)]
    )
    lists = np.array([tracks], np.int32)
    assert diversity.intra_list_diversity(lists, vectors)[0] == pytest.approx(expected, abs=1e-5)
    assert diversity.intra_list_diversity(lists, sparse.csr_matrix(vectors))[0] == pytest.approx(
        expected, abs=1e-5
    )


def test_popularity_lift_by_hand() -> None:
    heard_by = np.array([4, 2, 1])
    # Profiles: {1, 2} mean 1.5; {2} mean 1; nothing; {0}. Lists: mean 3; 2.5; 4; none.
    profiles = Interactions.from_histories([[1, 2], [2], [], [0]], 3)
    assert diversity.popularity_lift(LISTS, profiles, heard_by) == pytest.approx((3 + 2.5) / (1.5 + 1) - 1)


def test_popularity_lift_of_the_profiles_themselves_is_zero() -> None:
    profiles = Interactions.from_histories([[0, 1], [2, 0]], 3)
    lists = np.array([[0, 1], [2, 0]], np.int32)
    assert diversity.popularity_lift(lists, profiles, np.array([5, 2, 1])) == pytest.approx(0.0)


def test_popularity_lift_needs_a_history() -> None:
    profiles = Interactions.from_histories([[], []], 3)
    assert diversity.popularity_lift(np.zeros((2, 1), np.int32), profiles, np.ones(3, np.int64)) is None


def test_content_vectors_relate_tracks_by_what_they_share(make_corpus) -> None:
    corpus = make_corpus(
        [("u", "a")],
        catalogue={
            "track_id": ["a", "b", "c", "d", "e"],
            "artist_id": ["X", "X", "Y", "Y", None],
            "tags": [["rock"], ["rock"], ["folk"], ["folk", "rock"], None],
        },
    )
    vectors = diversity.content_vectors(corpus)
    cosine = cosine_similarity(vectors)
    assert cosine[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert 0.5 < cosine[2, 3] < 1
    assert cosine[0, 2] == 0
    assert vectors[4].nnz == 0
    found = diversity.intra_list_diversity(np.array([[0, 1], [0, 2], [0, 4]], np.int32), vectors)
    assert found[:2] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert np.isnan(found[2])


def test_content_vectors_fall_back_to_given_embeddings(make_corpus) -> None:
    corpus = make_corpus([("u", "a")], catalogue={"track_id": ["a", "b"], "embedding": [[1.0, 2.0], None]})
    assert np.asarray(diversity.content_vectors(corpus)).tolist() == [[1.0, 2.0], [0.0, 0.0]]


def test_no_content_no_vectors(make_corpus) -> None:
    assert diversity.content_vectors(make_corpus([("u", "a")])) is None
