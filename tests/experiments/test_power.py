from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower

from audotics.errors import BadInputError
from audotics.experiments.power import (
    Design,
    detectable_always_valid,
    detectable_effect,
    listeners_needed,
    needed_for_looks,
)
from audotics.experiments.ratios import difference
from audotics.experiments.sequential import always_valid_interval, mixture_scale

DESIGN = Design(mean=0.6, deviation=0.9)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_the_effect_found_with_the_listeners_needed_is_the_one_asked_for(ratio: float) -> None:
    design = replace(DESIGN, ratio=ratio)
    n = listeners_needed(design, 0.02)
    assert detectable_effect(design, n) == pytest.approx(0.02, rel=1e-3)
    power = NormalIndPower().power(0.02 * 0.6 / 0.9, n, 0.05, ratio=ratio)
    assert power == pytest.approx(0.8, abs=1e-3)


@given(st.floats(0.05, 0.95))
def test_cuped_saves_its_share_of_listeners(explained: float) -> None:
    plain, helped = (
        listeners_needed(DESIGN, 0.05),
        listeners_needed(replace(DESIGN, explained=explained), 0.05),
    )
    assert helped == pytest.approx((1 - explained) * plain, rel=0.02, abs=2)


def test_power_is_what_simulated_experiments_have() -> None:
    rng = np.random.default_rng(0)
    design = Design(mean=2.0, deviation=2.0)
    n = listeners_needed(design, 0.25)
    found = [
        difference(rng.exponential(2.0, n), rng.exponential(2.0, n) + 0.5).p_value < 0.05 for _ in range(800)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_always_valid_power_is_what_its_interval_has_at_the_planned_end() -> None:
    n = 10_000
    effect = detectable_always_valid(DESIGN, n)
    error = 0.9 * math.sqrt(2 / n) / 0.6
    estimates = np.random.default_rng(1).normal(effect, error, 20_000)
    low, _ = always_valid_interval(estimates, error, mixture_scale(error))
    assert (low > 0).mean() == pytest.approx(0.8, abs=0.01)
    assert 1.7 < needed_for_looks(DESIGN) < 2.2


def test_more_treatments_need_more_listeners() -> None:
    assert listeners_needed(replace(DESIGN, n_comparisons=4), 0.05) > 1.3 * listeners_needed(DESIGN, 0.05)


def test_no_listeners_find_nothing() -> None:
    assert detectable_effect(DESIGN, 0) == math.inf


@pytest.mark.parametrize(
    "change",
    [
        {"mean": 0.0},
        {"deviation": 0.0},
        {"explained": 1.0},
        {"ratio": 0.0},
        {"alpha": 0.0},
        {"power": 0.2},
        {"n_comparisons": 0},
    ],
)
def test_impossible_designs_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match=next(iter(change))):
        replace(DESIGN, **change)


def test_no_effect_cannot_be_planned_for() -> None:
    with pytest.raises(BadInputError, match="effect"):
        listeners_needed(DESIGN, 0.0)
