from __future__ import annotations

import numpy as np
import pytest

from audotics.domain import FloatArray
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.training.contest import hold_contest

N_LISTS, WIDTH = 200, 10


class Fixed:
    """A ranker with given scores."""

    def __init__(self, name: str, scores: FloatArray) -> None:
        self.name = name
        self._scores = scores

    def score(self, inputs: RankingInputs) -> FloatArray:
        return self._scores


@pytest.fixture
def examples() -> RankingExamples:
    rng = np.random.default_rng(0)
    labels = np.zeros((N_LISTS, WIDTH, 1), np.float32)
    labels[np.arange(N_LISTS), rng.integers(WIDTH, size=N_LISTS), 0] = 1
    inputs = RankingInputs(
        np.zeros((N_LISTS, WIDTH, 1), np.float32),
        ("a:z",),
        np.tile(np.arange(WIDTH, dtype=np.int32), (N_LISTS, 1)),
        np.arange(N_LISTS, dtype=np.int32),
        np.zeros((N_LISTS, 0), np.float32),
        np.zeros((N_LISTS, 0), np.int32),
    )
    return RankingExamples(inputs, labels, ("play",))


def ranker(name: str, examples: RankingExamples, skill: float, seed: int = 1) -> Fixed:
    noise = np.random.default_rng(seed).normal(size=(N_LISTS, WIDTH))
    return Fixed(name, (noise + skill * examples.labels[..., 0]).astype(np.float32))


def ones(examples: RankingExamples) -> np.ndarray:
    return np.ones(examples.inputs.n_lists, np.int32)


def test_a_clearly_better_ranker_serves(examples: RankingExamples) -> None:
    rankers = [ranker("simple", examples, 0.5), ranker("deep", examples, 3.0)]
    winner, standings = hold_contest(rankers, examples, ones(examples))
    assert winner.name == "deep"
    assert [standing.chosen for standing in standings] == [False, True]
    assert standings[1].lead == pytest.approx(standings[1].ndcg - standings[0].ndcg, abs=1e-6)


def test_a_hair_better_is_not_enough_to_replace_the_simpler(examples: RankingExamples) -> None:
    simple = ranker("simple", examples, 1.0)
    scores = simple.score(examples.inputs).copy()
    played = examples.labels[0, :, 0] > 0
    scores[0, played] = scores[0].max() + 1  # better in one list of two hundred
    winner, standings = hold_contest([simple, Fixed("deep", scores)], examples, ones(examples))
    assert standings[1].ndcg >= standings[0].ndcg
    assert winner.name == "simple"


def test_each_is_measured_against_the_best_so_far(examples: RankingExamples) -> None:
    rankers = [
        ranker("single", examples, 0.2),
        ranker("linear", examples, 3.0),
        ranker("deep", examples, 1.5, seed=2),
    ]
    winner, standings = hold_contest(rankers, examples, ones(examples))
    assert winner.name == "linear"
    assert standings[2].lead < 0


def test_one_listener_is_enough_to_run(examples: RankingExamples) -> None:
    one = examples.take(np.array([0], np.int32))
    scores = one.labels[..., 0]
    winner, _ = hold_contest([Fixed("only", scores)], one, np.ones(1, np.int32))
    assert winner.name == "only"


def test_the_blend_serves_unless_it_is_clearly_beaten(examples: RankingExamples) -> None:
    def winner(skill: float) -> str:
        rankers = [ranker("good", examples, 2.0), ranker("blend", examples, skill, seed=2)]
        return hold_contest(rankers, examples, ones(examples))[0].name

    assert winner(2.0) == "blend"
    assert winner(0.5) == "good"
