from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.retrieval.weighting import (
    HistoryWeights,
    play_scale,
    play_weights,
    recency_weights,
    weighting_arrays,
)

PLAYS = st.lists(st.integers(0, 100_000), min_size=1, max_size=30)


def test_the_usual_pair_weighs_one_at_any_strength() -> None:
    for strength in (0.0, 0.3, 5.0):
        assert play_weights(np.array([260.0], np.float32), 260.0, strength)[0] == pytest.approx(1.0)


def test_a_hand_computed_weight() -> None:
    weights = play_weights(np.array([0.0, 3.0], np.float32), 1.0, 0.5)
    below = 1.0 + 0.5 * np.log(2.0)
    np.testing.assert_allclose(weights, [1.0 / below, (1.0 + 0.5 * np.log(4.0)) / below], rtol=1e-6)


@given(PLAYS, st.floats(0.1, 1000.0), st.floats(0.0, 10.0))
def test_more_plays_never_weigh_less_and_all_weigh_something(
    plays: list[int], scale: float, strength: float
) -> None:
    weights = play_weights(np.sort(np.array(plays, np.float32)), scale, strength)
    assert weights.dtype == np.float32
    assert (weights > 0).all()
    assert (np.diff(weights) >= 0).all()


@given(PLAYS, st.floats(0.5, 100.0))
def test_the_unit_of_plays_does_not_matter(plays: list[int], factor: float) -> None:
    counts = np.array(plays, np.float32) + 1.0
    scale = float(np.median(counts))
    np.testing.assert_allclose(
        play_weights(counts, scale, 1.0),
        play_weights(counts * np.float32(factor), scale * factor, 1.0),
        rtol=1e-4,
    )


def test_no_strength_means_yes_or_no() -> None:
    assert play_weights(np.array([1.0, 500.0], np.float32), 3.0, 0.0).tolist() == [1.0, 1.0]


def test_scale_is_the_median_and_one_for_nothing() -> None:
    pairs = Interactions.from_histories([[0, 0, 0, 1, 2, 2]], 3)
    assert play_scale(pairs) == 2.0
    assert play_scale(Interactions.from_histories([[]], 3)) == 1.0


def test_recency_halves_with_every_half_life_of_tracks() -> None:
    histories = Interactions.from_histories([[0, 1, 2, 3, 4], [7]], n_tracks=8)
    weights = recency_weights(histories, 2.0)
    np.testing.assert_allclose(weights, [0.25, 0.5**1.5, 0.5, 0.5**0.5, 1.0, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(recency_weights(histories, None), 1.0)


def test_very_old_plays_keep_a_trace() -> None:
    histories = Interactions.from_histories([list(range(500))], n_tracks=500)
    assert recency_weights(histories, 1.0).min() > 0


def test_nothing_fades_where_training_had_no_order() -> None:
    histories = Interactions.from_histories([[3, 1, 2]], n_tracks=4)
    plain = HistoryWeights(1.0, 0.0, 1.0, ordered=False).of(histories)
    faded = HistoryWeights(1.0, 0.0, 1.0, ordered=True).of(histories)
    np.testing.assert_array_equal(plain, [1, 1, 1])
    np.testing.assert_allclose(faded, [0.25, 0.5, 1])


def test_weights_learned_are_those_given() -> None:
    histories = Interactions.from_histories([[0, 1], [1]], n_tracks=2)
    learned = HistoryWeights.learned(weighting_arrays(histories), 0.3, 1.0)
    given = HistoryWeights(1.0, 0.3, 1.0, ordered=True)
    np.testing.assert_array_equal(learned.of(histories), given.of(histories))
