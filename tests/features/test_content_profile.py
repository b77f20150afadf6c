"""Likeness of content: by hand, and against dense cosines."""

from math import log, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.queries import QueryBatch
from audotics.errors import NotFittedError
from audotics.features import content_profile
from audotics.features.content_profile import ContentProfile
from audotics.features.terms import content_terms
from contract.six_tracks import PLAYS, corpus, raw


def test_content_cosine_by_hand() -> None:
    data = corpus(PLAYS)
    content = ContentProfile().fit(content_terms(data.track_table))
    assert content.names == ("content_artist", "content_album", "content_tag", "content_decade")
    # The listener played t0 (artist A, rock) three times and t2 (artist B, pop) once.
    computed = content.compute(raw([0, 0, 2, 0]), np.array([[1, 3, 4]], np.int32))[0]
    length = sqrt(log(4) ** 2 + log(2) ** 2)
    assert computed[0] == pytest.approx([log(4) / length, 0, _tag_cosine(log(4), log(2)), 0], abs=1e-5)
    assert not computed[1].any()
    assert computed[2, :2] == pytest.approx([log(2) / length, 1], abs=1e-5)


def _tag_cosine(rock: float, pop: float) -> float:
    """Cosine of the profile with t1: of five tagged tracks two are rock, three pop."""
    idf = np.array([1 + log(6 / 3), 1 + log(6 / 4)])
    profile = np.array([rock, pop])
    return float(profile @ idf / np.linalg.norm(profile) / np.linalg.norm(idf))


def test_content_profile_without_terms_has_no_columns() -> None:
    content = ContentProfile().fit(content_terms(pl.DataFrame({"track_id": [f"t{i}" for i in range(6)]})))
    batch = raw([0])
    assert content.compute(batch, np.array([[1, 0]], np.int32)).shape == (1, 2, 0)


def test_content_of_empty_batches_and_lists() -> None:
    data = corpus(PLAYS)
    content = ContentProfile().fit(content_terms(data.track_table))
    nobody = QueryBatch.of_listeners(data.interactions, np.zeros(0, np.int32))
    cold = QueryBatch.of_listeners(data.interactions, np.array([-1, -1], np.int32))
    n = len(content.names)
    assert content.compute(nobody, np.zeros((0, 3), np.int32)).shape == (0, 3, n)
    assert content.compute(cold, np.zeros((2, 0), np.int32)).shape == (2, 0, n)
    assert not content.compute(cold, np.full((2, 2), -1, np.int32)).any()
    assert not content.compute(cold, np.zeros((2, 1), np.int32)).any()


def test_arrays_bring_the_same_cosines_back() -> None:
    data = corpus(PLAYS)
    batch = QueryBatch.of_listeners(data.interactions, np.array([1, 0, -1], np.int32))
    tracks = np.tile(np.array([0, 4, 5, -1], np.int32), (3, 1))
    content = ContentProfile().fit(content_terms(data.track_table))
    assert all(array.dtype != object for array in content.arrays().values())
    again = ContentProfile.from_arrays(content.arrays())
    assert again.names == content.names
    np.testing.assert_array_equal(again.compute(batch, tracks), content.compute(batch, tracks))


def test_a_profile_before_fit_says_so() -> None:
    with pytest.raises(NotFittedError, match="ContentProfile"):
        ContentProfile().arrays()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=4), st.integers(0, 2**16))
def test_content_agrees_with_dense_cosines(histories: list[list[int]], seed: int) -> None:
    terms = content_terms(corpus(PLAYS).track_table)
    content = ContentProfile().fit(terms)
    batch = raw(*histories)
    rows = batch.histories
    candidates = np.random.default_rng(seed).integers(-1, 6, (rows.n_rows, 7)).astype(np.int32)
    computed = content.compute(batch, candidates)
    assert np.all(computed >= 0) and np.all(computed <= 1 + 1e-6)
    profiles = rows.matrix(np.log1p(rows.plays)).toarray() @ terms.matrix.toarray()
    for group, columns in enumerate(terms.slices.values()):
        for query, track in np.ndindex(candidates.shape):
            profile, content_row = (
                profiles[query, columns],
                terms.matrix.toarray()[candidates[query, track], columns],
            )
            lengths = np.linalg.norm(profile) * np.linalg.norm(content_row)
            slow = profile @ content_row / lengths if lengths and candidates[query, track] >= 0 else 0
            assert computed[query, track, group] == pytest.approx(slow, abs=1e-5)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = corpus(PLAYS)
    content = ContentProfile().fit(content_terms(data.track_table))
    batch = QueryBatch.of_listeners(data.interactions, np.array([0, 1, 0, -1, 1], np.int32))
    tracks = np.random.default_rng(0).integers(-1, 6, (5, 9)).astype(np.int32)
    whole = content.compute(batch, tracks)
    monkeypatch.setattr(content_profile, "_BLOCK", 1)
    np.testing.assert_allclose(content.compute(batch, tracks), whole, atol=1e-6)
