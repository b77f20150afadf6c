from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from audotics.data.interactions import Interactions
from audotics.retrieval.ials import IALS, IALSConfig
from audotics.retrieval.protocol import Evidence
from audotics.retrieval.weighting import play_scale, play_weights
from contract.retriever_contract import asking, everyone, planted_corpus


def plain_ials(interactions: Interactions, config: IALSConfig) -> np.ndarray:
    """Scores of every listener for every track by the textbook loop over rows, in double precision."""
    confidences = interactions.matrix(
        play_weights(interactions.plays, play_scale(interactions), config.play_strength)
    ).toarray()
    density = interactions.n_pairs / (
        np.count_nonzero(confidences.any(axis=1)) * np.count_nonzero(confidences.any(axis=0))
    )
    a0 = config.unobserved_ratio * density
    strength = config.regularization / (1 + config.unobserved_ratio)
    rng = np.random.default_rng(config.seed)
    tracks = rng.normal(0.0, 0.1 / np.sqrt(config.rank), (interactions.n_tracks, config.rank))
    tracks[~confidences.any(axis=0)] = 0.0

    def solve(rows: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        n_warm = np.count_nonzero(fixed.any(axis=1))
        gram = a0 * fixed.T @ fixed
        solved = np.zeros((len(rows), config.rank))
        for place, row in enumerate(rows):
            ridge = strength * (np.count_nonzero(row) + a0 * n_warm)
            left = gram + fixed.T @ (row[:, None] * fixed) + ridge * np.eye(config.rank)
            solved[place] = np.linalg.solve(left, fixed.T @ row)
        return solved

    for _ in range(config.sweeps):
        users = solve(confidences, tracks)
        tracks = solve(confidences.T, users)
    return solve(confidences, tracks) @ tracks.T


@pytest.mark.parametrize("rank", [3, 20])
def test_equals_the_textbook_loop(rank: int) -> None:
    corpus = planted_corpus()
    config = IALSConfig(rank=rank, sweeps=4, play_strength=0.5)
    scores = IALS(config).fit(corpus).score(everyone(corpus))
    np.testing.assert_allclose(scores, plain_ials(corpus.interactions, config), rtol=2e-3, atol=2e-4)


def test_cold_tracks_and_silent_listeners_change_nothing() -> None:
    """Their rows are empty, and only warm ones count in the regularisation."""
    corpus = planted_corpus()
    config = IALSConfig(rank=6, sweeps=3)
    keep = (corpus.events["track_index"].to_numpy() % 7 != 0) & (corpus.events["user_index"].to_numpy() > 4)
    part = corpus.keep(keep)
    scores = IALS(config).fit(part).score(everyone(part))
    np.testing.assert_allclose(scores, plain_ials(part.interactions, config), rtol=2e-3, atol=2e-4)
    assert not scores[:5].any()


def test_folding_in_gives_what_training_would() -> None:
    """A heard track scores far above an unheard one of another genre, for a history never seen."""
    corpus = planted_corpus()
    retriever = IALS(IALSConfig(rank=8)).fit(corpus)
    scores = retriever.score(asking(Interactions.from_histories([[0, 1, 2, 3]], corpus.n_tracks)))[0]
    assert scores[[0, 1, 2, 3]].min() > scores[30:].max()


def test_more_plays_raise_a_track_and_its_like() -> None:
    corpus = planted_corpus()
    retriever = IALS(IALSConfig(rank=8, play_strength=1.0)).fit(corpus)
    history = Interactions.from_histories([[0, 30], [0, 0, 0, 0, 0, 0, 30]], corpus.n_tracks)
    once, often = retriever.score(asking(history))
    assert often[0] > once[0]
    assert (often[:30] > once[:30]).mean() > 0.9


def test_another_seed_starts_elsewhere_and_ends_near() -> None:
    corpus = planted_corpus()
    batch = everyone(corpus)
    first = IALS(IALSConfig(rank=8, seed=0)).fit(corpus).score(batch)
    second = IALS(IALSConfig(rank=8, seed=1)).fit(corpus).score(batch)
    assert not np.array_equal(first, second)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.95


def test_a_heard_track_that_argues_for_itself_is_called_heard() -> None:
    corpus = planted_corpus()
    retriever = IALS(IALSConfig(rank=30, regularization=0.02)).fit(corpus)
    history = Interactions.from_histories([[4]], corpus.n_tracks)
    (own,) = retriever.explain(asking(history), np.array([4], np.int32))
    (other,) = retriever.explain(asking(history), np.array([5], np.int32))
    assert own is not None
    assert (own.evidence, own.cause) == (Evidence.HEARD, 4)
    assert other is None or (other.evidence, other.cause) == (Evidence.TRACK, 4)


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match="seed"):
        IALSConfig(seed=-1)
