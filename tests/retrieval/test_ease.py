from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from audotics.data.corpus import Corpus
from audotics.errors import BadInputError
from audotics.retrieval import ease
from audotics.retrieval.ease import EASE, EASEConfig, largest_in_columns
from audotics.retrieval.weighting import play_scale, play_weights
from contract.retriever_contract import planted_corpus


def plain_weights(corpus: Corpus, config: EASEConfig) -> np.ndarray:
    """Weights of all tracks from the textbook inverse over tracks, in double precision."""
    interactions = corpus.interactions
    values = play_weights(interactions.plays, play_scale(interactions), config.play_strength)
    plays = interactions.matrix(values).toarray().astype(np.float64)
    users = np.maximum(plays.sum(axis=1, keepdims=True), 1e-6) ** -config.normalization
    tracks = np.maximum(plays.sum(axis=0, keepdims=True), 1e-6) ** -config.normalization
    scaled = plays * users * tracks
    ridge = config.regularization * np.square(scaled).sum() / np.count_nonzero(plays.any(axis=0))
    inverse = np.linalg.inv(scaled.T @ scaled + ridge * np.eye(plays.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    weights = weights * tracks.T / tracks
    weights[:, ~plays.any(axis=0)] = 0.0
    return weights


def learned_weights(corpus: Corpus, config: EASEConfig) -> np.ndarray:
    state = EASE(config).fit(corpus).arrays()
    parts = (state["weights"], state["indices"], state["indptr"])
    return sparse.csr_matrix(parts, shape=(corpus.n_tracks, corpus.n_tracks)).toarray()


def few_listeners() -> Corpus:
    """Fewer listeners than tracks, so that the inverse over listeners is the smaller one."""
    corpus = planted_corpus()
    part = corpus.keep(corpus.events["user_index"].to_numpy() < 25)
    warm = np.unique(part.interactions.track_index).size
    assert np.count_nonzero(part.interactions.lengths) < warm
    return part


@pytest.mark.parametrize("normalization", [0.0, 0.5])
@pytest.mark.parametrize("regularization", [0.1, 3.0])
def test_primal_equals_the_textbook_inverse(regularization: float, normalization: float) -> None:
    corpus = planted_corpus()
    config = EASEConfig(
        regularization=regularization, normalization=normalization, n_neighbours=1000, play_strength=1.0
    )
    assert corpus.n_users >= np.unique(corpus.interactions.track_index).size
    np.testing.assert_allclose(
        learned_weights(corpus, config), plain_weights(corpus, config), rtol=1e-2, atol=2e-5
    )


@pytest.mark.parametrize("block", [7, 128])
@pytest.mark.parametrize("normalization", [0.0, 0.3])
def test_dual_equals_the_textbook_inverse(
    block: int, normalization: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ease, "BLOCK_COLUMNS", block)
    corpus = few_listeners()
    # Silent listeners keep their rows: give the dual form only those who play.
    config = EASEConfig(regularization=0.8, play_strength=0.0, normalization=normalization, n_neighbours=1000)
    plays = corpus.interactions.matrix()[:25]
    plays.sort_indices()
    weights = EASE(config).weigh(plays)
    expected = plain_weights(corpus, config)
    np.testing.assert_allclose(weights.toarray(), expected, rtol=1e-2, atol=2e-5)


def test_each_track_is_the_ridge_regression_on_all_others() -> None:
    """The defining property: column t solves the least squares of x_t without x_t itself."""
    corpus = planted_corpus()
    weights = learned_weights(corpus, EASEConfig(regularization=2.0, n_neighbours=1000, play_strength=0.0))
    plays = corpus.interactions.matrix().toarray().astype(np.float64)
    ridge = 2.0 * corpus.interactions.n_pairs / np.count_nonzero(plays.any(axis=0))
    for track in (0, 17, 55):
        others = np.delete(np.arange(corpus.n_tracks), track)
        left = plays[:, others].T @ plays[:, others] + ridge * np.eye(len(others))
        # The constraint's multiplier absorbs the diagonal, so the regression on the others is exact.
        expected = np.linalg.solve(left, plays[:, others].T @ plays[:, track])
        np.testing.assert_allclose(weights[others, track], expected, rtol=1e-2, atol=2e-5)


def test_the_largest_magnitudes_are_kept_negative_ones_too() -> None:
    corpus = planted_corpus()
    full = learned_weights(corpus, EASEConfig(regularization=0.5, n_neighbours=1000))
    cut = learned_weights(corpus, EASEConfig(regularization=0.5, n_neighbours=6))
    for kept, row in zip(cut, full, strict=True):
        chosen = np.flatnonzero(kept)
        assert len(chosen) == min(6, np.count_nonzero(row))
        np.testing.assert_allclose(kept[chosen], row[chosen], rtol=1e-5)
        assert np.abs(row[chosen]).min() >= np.sort(np.abs(row))[-6] - 1e-7
    assert (cut < 0).any()


def test_beyond_the_memory_limit_the_popular_tracks_take_part() -> None:
    events = planted_corpus()
    rng = np.random.default_rng(0)
    plays = sparse.random_array((700, 600), density=0.02, rng=rng, format="csr", dtype=np.float32)
    plays = sparse.csr_matrix(plays)
    plays.sort_indices()
    listeners = np.bincount(plays.indices, minlength=600)
    limited = EASE(EASEConfig(memory_mb=1)).weigh(plays)
    side = int((2**20 / 8) ** 0.5)
    taking_part = np.unique(limited.indices)
    assert 0 < len(taking_part) <= side < 600
    assert listeners[taking_part].min() >= np.sort(listeners)[::-1][:side].min()
    assert EASE(EASEConfig(memory_mb=64)).weigh(plays).nnz > limited.nnz
    assert events.n_tracks < side


def test_a_hopeless_regularization_is_refused_with_its_name() -> None:
    corpus = planted_corpus()
    config = EASEConfig(regularization=1e-30)
    part = corpus.keep(corpus.events["user_index"].to_numpy() < 3)
    # Three listeners cannot span ninety tracks: without a ridge the matrix is singular.
    plays = part.interactions.matrix()
    plays.sort_indices()
    with pytest.raises(BadInputError, match=r"ease\.regularization"):
        EASE(config).weigh(plays)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 70), st.integers(1, 6)),
        elements=st.floats(-2, 2, width=16),
    ),
    st.integers(1, 80),
)
@settings(max_examples=80, deadline=None)
def test_largest_in_columns_is_exact(block: np.ndarray, n: int) -> None:
    rows, columns, values = largest_in_columns(block, n)
    assert np.array_equal(block[rows, columns], values)
    for column in range(block.shape[1]):
        kept = np.sort(np.abs(values[columns == column]))
        expected = np.sort(np.abs(block[:, column]))[-n:]
        np.testing.assert_array_equal(kept, expected[expected > 0])


def test_largest_in_columns_where_the_sample_misleads() -> None:
    """All large entries stand on sampled rows, so the guessed cut lets too few pass."""
    block = np.full((160, 2), 0.001, np.float32)
    block[::16] = 5.0
    block[:, 1] = np.arange(160)
    rows, columns, _ = largest_in_columns(block, 40)
    assert np.bincount(columns).tolist() == [40, 40]
    assert set(np.arange(0, 160, 16)) <= set(rows[columns == 0].tolist())
    assert set(rows[columns == 1].tolist()) == set(range(120, 160))


def test_more_tracks_than_the_limit_leave_the_rarest_out_though_listeners_are_few() -> None:
    corpus = few_listeners()
    plays = corpus.interactions.matrix()[:25]
    plays.sort_indices()
    listeners = np.bincount(plays.indices, minlength=corpus.n_tracks)
    weights = EASE(EASEConfig(max_tracks=30, n_neighbours=1000)).weigh(plays)
    popular = np.sort(np.argsort(-listeners, kind="stable")[:30])
    np.testing.assert_array_equal(np.unique(weights.indices), popular)
    # Those that take part are weighed as if the others did not exist.
    alone = EASE(EASEConfig(n_neighbours=1000)).weigh(sparse.csr_matrix(plays[:, popular]))
    np.testing.assert_allclose(weights.toarray()[np.ix_(popular, popular)], alone.toarray(), atol=1e-5)


def test_the_limit_of_memory_is_not_loosened_by_that_of_tracks() -> None:
    plays = sparse.csr_matrix(np.ones((700, 600), np.float32))
    side = int((2**20 / 8) ** 0.5)
    assert len(np.unique(EASE(EASEConfig(memory_mb=1, max_tracks=500)).weigh(plays).indices)) == side
    assert len(np.unique(EASE(EASEConfig(memory_mb=1, max_tracks=90)).weigh(plays).indices)) == 90
