"""The true chances: probabilities, ordered by affinity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.schema import EVENT_KINDS
from audotics.simulation import genres
from audotics.simulation.reactions import OUTCOMES, chances, played_share, true_affinity

SKIP, LIKE, COMPLETE = (OUTCOMES.index(name) for name in ("skip", "like", "complete"))


def taste_of(**weights: float) -> np.ndarray:
    taste = np.zeros((1, genres.N_GENRES), np.float32)
    for name, weight in weights.items():
        taste[0, genres.NAMES.index(name)] = weight
    return taste


def affinity(taste: np.ndarray, genre: str, steps: int = 0) -> float:
    number = np.array([genres.NAMES.index(genre)])
    return float(true_affinity(taste, np.array([3]), number, np.array([(3 + steps) % genres.N_STYLES]))[0])


def test_outcomes_are_the_event_kinds() -> None:
    assert sorted(OUTCOMES) == sorted(EVENT_KINDS)


def test_affinity_by_hand() -> None:
    taste = taste_of(jazz=0.64, soul=0.16, pop=0.2)
    assert affinity(taste, "jazz") == pytest.approx(1.0)
    assert affinity(taste, "soul") == pytest.approx(0.5), "square root of 0.16 / 0.64"
    assert affinity(taste, "metal") == 0.0
    assert affinity(taste, "jazz", 1) == pytest.approx((0.2 / 0.5) ** 0.25)
    assert affinity(taste, "jazz", 2) == pytest.approx((0.05 / 0.5) ** 0.25)
    assert affinity(taste, "jazz", 4) == affinity(taste, "jazz", 1), "styles stand on a ring"


@given(st.floats(0, 1, width=32), st.booleans())
def test_chances_are_probabilities(value: float, favourite: bool) -> None:
    table = chances(np.float32([value]), np.array([favourite]))
    assert table.shape == (1, len(OUTCOMES))
    assert table.min() >= 0
    assert table.sum() == pytest.approx(1.0, abs=1e-5)


def test_more_affinity_fewer_skips_more_likes() -> None:
    table = chances(np.linspace(0, 1, 50, dtype=np.float32), np.zeros(50, np.bool_))
    assert (np.diff(table[:, SKIP]) < 0).all()
    assert (np.diff(table[:, LIKE]) > 0).all()
    assert table[0, SKIP] == pytest.approx(0.76) and table[-1, SKIP] == pytest.approx(0.06)
    assert table[0, LIKE] == 0.0


def test_favourites_are_skipped_half_as_often() -> None:
    value = np.float32([0.3, 0.3])
    first, again = chances(value, np.array([False, True]))
    assert again[SKIP] == pytest.approx(first[SKIP] / 2)
    assert again[COMPLETE] > first[COMPLETE]


def test_played_share_by_outcome() -> None:
    outcome = np.repeat(np.arange(len(OUTCOMES)), 500)
    share = played_share(outcome, np.random.default_rng(0))
    assert share.min() > 0 and share.max() <= 1
    assert share[outcome == SKIP].max() < share[outcome == OUTCOMES.index("play")].min()
    assert share[outcome == COMPLETE].min() > share[outcome == OUTCOMES.index("play")].max()
