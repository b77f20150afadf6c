"""Draws follow their weights and never give what has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.simulation.sampling import draw, draw_rows, place_in_group


def test_draw_follows_the_weights() -> None:
    weights = np.array([1.0, 0.0, 3.0])
    counts = np.bincount(draw(weights, 40_000, np.random.default_rng(0)), minlength=3)
    assert counts[1] == 0
    assert counts[2] / counts[0] == pytest.approx(3.0, rel=0.05)


def test_draw_rows_follows_each_rows_weights() -> None:
    weights = np.array([[1.0, 1.0, 0.0], [0.0, 0.2, 0.8]])
    rows = np.repeat([0, 1], 20_000)
    drawn = draw_rows(weights, rows, np.random.default_rng(0))
    first, second = np.bincount(drawn[:20_000], minlength=3), np.bincount(drawn[20_000:], minlength=3)
    assert first[2] == 0 and second[0] == 0
    assert first[0] / 20_000 == pytest.approx(0.5, abs=0.02)
    assert second[2] / 20_000 == pytest.approx(0.8, abs=0.02)


@given(
    weights=st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=1, max_size=6).filter(any),
    seed=st.integers(0, 100),
)
def test_what_has_no_weight_is_never_drawn(weights: list[float], seed: int) -> None:
    table = np.array([weights], dtype=np.float32)
    rng = np.random.default_rng(seed)
    assert (table[0, draw(table[0], 50, rng)] > 0).all()
    assert (table[0, draw_rows(table, np.zeros(50, np.int64), rng)] > 0).all()


def test_no_draws() -> None:
    rng = np.random.default_rng(0)
    assert draw(np.ones(3), 0, rng).shape == (0,)
    assert draw_rows(np.ones((2, 3)), np.zeros(0, np.int64), rng).shape == (0,)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_place_in_group_counts_within_runs(groups: list[int]) -> None:
    expected, previous = [], None
    for group in groups:
        expected.append(expected[-1] + 1 if group == previous else 0)
        previous = group
    assert place_in_group(np.array(groups, np.int64)).tolist() == expected
