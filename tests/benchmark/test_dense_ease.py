"""EASE against the formula of the paper, in both of its forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.benchmark.peers import ease
from audotics.benchmark.peers.ease import DenseEASE
from audotics.benchmark.protocol import Resources
from audotics.data.interactions import Interactions
from audotics.errors import BadInputError

ONE = Resources(threads=1, seed=0)


def obvious(matrix: np.ndarray, l2: float) -> np.ndarray:
    """Equation 8 of Steck 2019, word for word."""
    inverse = np.linalg.inv(matrix.T @ matrix + l2 * np.eye(matrix.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return matrix @ weights


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), n_users=st.integers(2, 25), n_tracks=st.integers(2, 25), l2=st.floats(1, 300)
)
def test_both_forms_are_the_formula(seed, n_users, n_tracks, l2):
    rng = np.random.default_rng(seed)
    matrix = (rng.random((n_users, n_tracks)) < 0.4).astype(np.float64)
    histories = Interactions.from_histories([np.flatnonzero(row).tolist() for row in matrix], n_tracks)
    fitted = DenseEASE({"l2": l2, "play_strength": 0.0}, ONE).fit(histories)
    everybody = np.arange(n_users, dtype=np.int32)
    np.testing.assert_allclose(fitted._score(everybody), obvious(matrix, l2), atol=2e-5)


def test_the_smaller_side_is_solved(histories):
    assert histories.n_rows < histories.n_tracks
    assert DenseEASE(DenseEASE.defaults, ONE).fit(histories)._projected is not None
    few = Interactions.from_histories([[0, 1], [1, 2], [0, 2], [2]], 3)
    assert DenseEASE(DenseEASE.defaults, ONE).fit(few)._projected is None


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch, histories):
    monkeypatch.setattr(ease.os, "sysconf", lambda name: 64)  # a machine of 4 KiB
    with pytest.raises(BadInputError, match="EASE needs 0 GiB for 90 listeners and 92 tracks"):
        DenseEASE(DenseEASE.defaults, ONE).fit(histories)
