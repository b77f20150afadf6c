from __future__ import annotations

import numpy as np
import pytest

from audotics.data.interactions import Interactions
from audotics.retrieval.user_knn import UserKNN, UserKNNConfig
from audotics.retrieval.weighting import play_scale, play_weights
from contract.retriever_contract import asking, everyone, planted_corpus


def votes_of_neighbours(interactions: Interactions, config: UserKNNConfig) -> np.ndarray:
    """The formula of the class written out for every pair of listeners ``[n_users, n_tracks]``."""
    scale = play_scale(interactions)
    heard = interactions.matrix().toarray()
    plays = interactions.matrix(play_weights(interactions.plays, scale, config.play_strength)).toarray()
    history = interactions.matrix(play_weights(interactions.plays, scale, config.history_strength)).toarray()
    listeners = np.maximum(heard.sum(axis=0), 1)
    rarity = np.log1p(len(heard) / listeners) ** config.rarity
    lengths = np.maximum(heard.sum(axis=1), 1) ** config.length_power
    likeness = (history * rarity) @ plays.T / lengths
    scores = np.zeros_like(plays)
    for row, alike in enumerate(likeness):
        nearest = np.argsort(-alike, kind="stable")[: config.n_neighbours]
        scores[row] = (alike[nearest] ** config.sharpness) @ plays[nearest] / listeners**config.vote_power
    return scores


@pytest.mark.parametrize(
    "settings",
    [
        {"n_neighbours": 10_000},
        {"n_neighbours": 10_000, "rarity": 0.0, "length_power": 0.0, "vote_power": 0.0, "sharpness": 1.0},
        {"n_neighbours": 10_000, "sharpness": 2.0, "play_strength": 1.0, "history_strength": 0.0},
        {"n_neighbours": 10_000, "sharpness": 0.5, "vote_power": 0.7, "length_power": 0.3},
    ],
)
def test_equals_the_formula(settings: dict[str, float]) -> None:
    corpus = planted_corpus()
    config = UserKNNConfig.model_validate(settings)
    scores = UserKNN(config).fit(corpus).score(everyone(corpus))
    np.testing.assert_allclose(scores, votes_of_neighbours(corpus.interactions, config), rtol=1e-3, atol=1e-5)


def test_a_power_on_votes_turns_towards_rare_tracks() -> None:
    corpus = planted_corpus()
    listeners = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks)

    def mean_popularity(power: float) -> float:
        scores = UserKNN(UserKNNConfig(vote_power=power)).fit(corpus).score(everyone(corpus))
        return float((scores @ listeners).sum() / scores.sum())

    assert mean_popularity(1.0) < mean_popularity(0.5) < mean_popularity(0.0)


def test_only_the_nearest_vote() -> None:
    corpus = planted_corpus()
    batch = everyone(corpus)
    one = UserKNN(UserKNNConfig(n_neighbours=1, length_power=0.0)).fit(corpus).score(batch)
    all_of_them = UserKNN(UserKNNConfig(n_neighbours=10_000)).fit(corpus).score(batch)
    # With undivided likeness everybody is their own nearest neighbour or has one with a longer history.
    assert (np.count_nonzero(one, axis=1) <= corpus.interactions.lengths.max()).all()
    assert np.count_nonzero(one) < np.count_nonzero(all_of_them)


def test_nobody_alike_proposes_nothing() -> None:
    corpus = planted_corpus()
    nothing_heard = asking(Interactions.from_histories([[]], corpus.n_tracks))
    assert not UserKNN().fit(corpus).score(nothing_heard).any()


def test_the_explanation_is_a_track_shared_with_voters() -> None:
    corpus = planted_corpus()
    batch = everyone(corpus)
    retriever = UserKNN().fit(corpus)
    scores = retriever.score(batch)
    scores[batch.histories.row_index, batch.histories.track_index] = 0.0
    best = scores.argmax(axis=1).astype(np.int32)
    heard = corpus.interactions.matrix().toarray().astype(bool)
    for row, (track, found) in enumerate(zip(best, retriever.explain(batch, best), strict=True)):
        assert found is not None
        assert heard[row, found.cause]
        assert (heard[:, track] & heard[:, found.cause]).any()
