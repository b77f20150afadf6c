"""Shares of cells, and how sure they are, against the obvious computation and against resampling."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.distributions import MISSING, OTHER, Distribution


def independent(n):
    return np.arange(n)


def test_bins_of_a_number_hold_equal_shares():
    values = pl.Series(np.random.default_rng(0).normal(size=5_000))
    found = Distribution.of_numbers(values, independent(5_000))
    assert found.labels[-1] == MISSING
    assert found.shares[:-1] == pytest.approx(0.1, abs=1e-3)
    assert found.counts[-1] == 0
    assert found.n == found.n_listeners == 5_000
    assert found.quantiles[100] == pytest.approx(values.median(), abs=1e-6)


def test_ties_and_missing_numbers():
    values = pl.Series([1.0] * 60 + [2.0] * 30 + [None] * 5 + [float("nan")] * 5)
    found = Distribution.of_numbers(values, independent(100))
    assert dict(zip(found.labels, found.counts, strict=True)) == {
        "below 2": 60,
        "2 or more": 30,
        MISSING: 10,
    }
    constant = Distribution.of_numbers(pl.Series([3.0] * 10), independent(10))
    assert constant.labels == ("any", MISSING)
    unknown = Distribution.of_numbers(pl.Series([None] * 4, dtype=pl.Float64), independent(4))
    assert unknown.counts == (0, 4)
    assert unknown.quantiles == ()


def test_rare_values_are_counted_together():
    values = pl.Series(["a"] * 600 + ["b"] * 396 + ["c", "d", None, None])
    found = Distribution.of_values(values, independent(1000))
    assert found.labels == ("a", "b", OTHER, MISSING)
    assert found.counts == (600, 396, 2, 2)
    assert Distribution.of_values(values, independent(1000), ["c"]).labels[2] == "c"


def test_other_values_go_into_the_same_cells():
    reference = Distribution.of_values(pl.Series(["a"] * 5 + ["b"] * 5), independent(10))
    found = reference.like(pl.Series(["b", "new", None, "a"]), independent(4))
    assert found.labels == reference.labels
    assert found.counts == (1, 1, 1, 1)
    numbers = Distribution.of_numbers(pl.Series(np.arange(100.0)), independent(100))
    far = numbers.like(pl.Series([-1e9, 1e9, float("inf")]), independent(3))
    assert (far.counts[0], far.counts[-2], far.counts[-1]) == (1, 1, 1)
    assert numbers.like(pl.Series([], dtype=pl.Float64), independent(0)).n == 0


def test_it_survives_json():
    given = Distribution.of_numbers(pl.Series(np.arange(50.0)), np.arange(50) % 7)
    assert Distribution.model_validate_json(given.model_dump_json()) == given


def test_independent_events_have_the_multinomial_covariance():
    values = pl.Series(np.random.default_rng(1).choice(["a", "b", "c"], 4_000, p=[0.5, 0.3, 0.2]))
    found = Distribution.of_values(values, independent(4_000))
    p = found.shares
    expected = (np.diag(p) - np.outer(p, p)) / 4_000
    assert np.asarray(found.covariance) == pytest.approx(expected, rel=1e-3, abs=1e-12)
    assert found.design_effect == pytest.approx(1.0, abs=0.01)


def test_listeners_who_never_change_country_count_once():
    country = np.random.default_rng(2).choice(["DE", "FR"], 200)
    found = Distribution.of_values(pl.Series(np.repeat(country, 50)), np.repeat(np.arange(200), 50))
    assert found.design_effect == pytest.approx(50, rel=0.02)


def test_the_covariance_is_that_of_drawing_listeners_again():
    rng = np.random.default_rng(3)
    n_events = rng.integers(1, 40, 150)
    taste = rng.dirichlet([1, 1, 1], 150)
    listeners = np.repeat(np.arange(150), n_events)
    cells = np.array([rng.choice(3, p=taste[who]) for who in listeners])
    found = Distribution.of_values(pl.Series(np.array(["a", "b", "c"])[cells]), listeners)
    table = np.zeros((150, 3))
    np.add.at(table, (listeners, cells), 1)
    drawn = table[rng.integers(0, 150, (4_000, 150))].sum(axis=1)
    resampled = np.cov((drawn / drawn.sum(axis=1, keepdims=True)).T)
    assert np.asarray(found.covariance)[:3, :3] == pytest.approx(resampled, rel=0.25, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", "c", None])), min_size=2, max_size=60)
)
def test_the_covariance_is_the_obvious_sum(rows):
    listeners = np.array([who for who, _ in rows])
    values = pl.Series([value for _, value in rows], dtype=pl.String)
    found = Distribution.of_values(values, listeners)
    labels = list(found.labels)
    spread = np.zeros((len(labels), len(labels)))
    people = sorted(set(listeners.tolist()))
    for person in people:
        own = [MISSING if value is None else value for who, value in rows if who == person]
        residual = np.array([own.count(label) for label in labels]) - len(own) * found.shares
        spread += np.outer(residual, residual)
    factor = len(people) / max(1, len(people) - 1) / len(rows) ** 2
    assert np.asarray(found.covariance) == pytest.approx(factor * spread, abs=1e-12)
    assert found.n_listeners == len(people)


def test_listeners_with_many_events_are_few():
    equal = Distribution.of_values(pl.Series(["a", "b"] * 10), np.repeat(np.arange(5), 4))
    assert equal.n_effective == pytest.approx(5)
    one_heavy = Distribution.of_values(pl.Series(["a"] * 104), np.repeat(np.arange(5), [100, 1, 1, 1, 1]))
    assert one_heavy.n_effective == pytest.approx(104**2 / 10_004)
    assert one_heavy.n_listeners == 5


def test_neighbouring_bins_that_move_together_are_worse_below_an_edge():
    rng = np.random.default_rng(4)
    home = np.repeat(rng.uniform(size=100), 30)
    values = pl.Series(np.clip(home + rng.normal(0, 0.15, 3_000), 0, 1))
    found = Distribution.of_numbers(values, np.repeat(np.arange(100), 30))
    assert found.design_effect_below > 1.5 * found.design_effect
    loose = Distribution.of_numbers(pl.Series(rng.uniform(size=3_000)), np.repeat(np.arange(100), 30))
    assert loose.design_effect_below < 2
    assert Distribution.of_numbers(pl.Series([1.0] * 9), independent(9)).design_effect_below == 1.0
