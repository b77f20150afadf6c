from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from audotics.data.interactions import Interactions
from audotics.retrieval.rp3beta import RP3Beta, RP3BetaConfig
from audotics.retrieval.weighting import play_scale, play_weights
from contract.retriever_contract import asking, everyone, planted_corpus


def walk_weights(interactions: Interactions, config: RP3BetaConfig) -> np.ndarray:
    """The formula of the class written out for every pair of tracks."""
    scale = play_scale(interactions)
    plays = interactions.matrix(play_weights(interactions.plays, scale, config.play_strength)).toarray()
    to_users = (plays / np.maximum(plays.sum(axis=0), 1e-12)).T ** config.alpha
    to_tracks = (plays / np.maximum(plays.sum(axis=1, keepdims=True), 1e-12)) ** config.alpha
    listeners = np.maximum(np.count_nonzero(plays, axis=0), 1)
    weights = (to_users @ to_tracks) / listeners**config.beta
    np.fill_diagonal(weights, 0.0)
    return weights


@pytest.mark.parametrize(("alpha", "beta", "strength"), [(1.0, 0.0, 0.0), (0.5, 0.3, 0.0), (0.7, 0.6, 1.0)])
def test_equals_the_formula(alpha: float, beta: float, strength: float) -> None:
    corpus = planted_corpus()
    config = RP3BetaConfig(alpha=alpha, beta=beta, play_strength=strength, n_neighbours=1000)
    arrays = RP3Beta(config).fit(corpus).arrays()
    parts = (arrays["weights"], arrays["indices"], arrays["indptr"])
    learned = sparse.csr_matrix(parts, shape=(corpus.n_tracks, corpus.n_tracks)).toarray()
    np.testing.assert_allclose(learned, walk_weights(corpus.interactions, config), rtol=1e-4, atol=1e-7)


def test_a_plain_walk_is_a_probability() -> None:
    """With alpha 1 and beta 0, walks from a track that need not leave it end somewhere for certain."""
    corpus = planted_corpus()
    config = RP3BetaConfig(alpha=1.0, beta=0.0, n_neighbours=1000)
    weights = walk_weights(corpus.interactions, config)
    assert (weights.sum(axis=1) < 1.0).all()
    assert (weights.sum(axis=1) > 0.8).all()


def test_beta_turns_towards_rare_tracks() -> None:
    corpus = planted_corpus()
    batch = everyone(corpus)
    listeners = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks)

    def mean_popularity(beta: float) -> float:
        scores = RP3Beta(RP3BetaConfig(beta=beta)).fit(corpus).score(batch)
        scores[batch.histories.row_index, batch.histories.track_index] = 0.0
        return float((scores @ listeners).sum() / scores.sum())

    assert mean_popularity(0.9) < mean_popularity(0.3) < mean_popularity(0.0)


def test_only_the_neighbours_asked_for_are_kept() -> None:
    corpus = planted_corpus()
    arrays = RP3Beta(RP3BetaConfig(n_neighbours=7)).fit(corpus).arrays()
    assert set(np.diff(arrays["indptr"]).tolist()) <= {7, 8}
    scores = RP3Beta(RP3BetaConfig(n_neighbours=7)).fit(corpus)
    one = scores.score(asking(Interactions.from_histories([[3]], corpus.n_tracks)))
    assert np.count_nonzero(one) <= 8
