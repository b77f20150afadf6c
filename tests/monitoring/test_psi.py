"""The index by hand, and what it may be without any change."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audotics.data.distributions import Distribution
from audotics.monitoring.psi import distance, psi

CELLS = np.array(["a", "b", "c", "d"])


def values(shares, n, rng):
    return pl.Series(CELLS[rng.choice(4, n, p=shares)])


def test_the_index_by_hand():
    found = psi(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    assert found == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))
    assert psi(np.array([0.2, 0.8]), np.array([0.2, 0.8])) == 0


SHARES = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda raw: np.array(raw) / sum(raw))


@given(SHARES, SHARES)
def test_it_is_symmetric_and_never_negative(p, q):
    assert psi(p, q) == pytest.approx(psi(q, p))
    assert psi(p, q) >= 0


def test_independent_draws_give_the_known_expectation():
    rng = np.random.default_rng(0)
    shares = [0.4, 0.3, 0.2, 0.1]
    reference = Distribution.of_values(values(shares, 2_000, rng), np.arange(2_000))
    found = [
        distance(reference, reference.like(values(shares, 500, rng), np.arange(500))) for _ in range(300)
    ]
    assert found[0].by_chance == pytest.approx(3 * (1 / 2_000 + 1 / 500), rel=0.15)
    # This reference lies where it lies, so the mean is not exactly that of all references.
    assert np.mean([one.psi for one in found]) == pytest.approx(found[0].by_chance, rel=0.5)


def p_values(n_listeners, per_listener, loyalty, seed=0, n_runs=200):
    """P-values without any change, where listeners keep to one value with the given chance."""
    rng = np.random.default_rng(seed)

    def drawn():
        own = rng.choice(4, n_listeners, p=[0.4, 0.3, 0.2, 0.1])
        n_events = rng.geometric(1 / per_listener, n_listeners)
        listeners = np.repeat(np.arange(n_listeners), n_events)
        loyal = rng.random(len(listeners)) < loyalty
        other = rng.choice(4, len(listeners), p=[0.4, 0.3, 0.2, 0.1])
        return pl.Series(CELLS[np.where(loyal, own[listeners], other)]), listeners

    found = []
    for _ in range(n_runs):
        reference = Distribution.of_values(*drawn())
        found.append(distance(reference, reference.like(*drawn())))
    return found


@pytest.mark.parametrize("loyalty", [0.0, 0.5, 1.0])
def test_listeners_who_keep_to_their_ways_raise_no_false_alarms(loyalty):
    found = p_values(100, 20, loyalty)
    rejected = np.mean([one.p_value < 0.05 for one in found])
    assert stats.binomtest(round(rejected * 200), 200, 0.05, alternative="greater").pvalue > 1e-4
    assert np.mean([one.p_value < 0.5 for one in found]) > 0.3  # it is no test that never rejects


def test_a_test_that_took_events_as_independent_would_alarm():
    found = p_values(100, 20, 1.0)
    naive = 3 * (1 / 2_000 + 1 / 2_000)
    assert np.mean([one.psi for one in found]) > 10 * naive
    assert found[0].by_chance > 10 * naive


def test_a_change_is_found_and_a_small_sample_of_it_is_not():
    rng = np.random.default_rng(1)
    reference = Distribution.of_values(values([0.4, 0.3, 0.2, 0.1], 5_000, rng), np.arange(5_000))
    changed = [0.1, 0.2, 0.3, 0.4]
    large = distance(reference, reference.like(values(changed, 2_000, rng), np.arange(2_000)))
    assert large.p_value < 1e-10
    assert large.psi == pytest.approx(psi(np.array([0.4, 0.3, 0.2, 0.1]), np.array(changed)), rel=0.15)
    steady = distance(reference, reference.like(values([0.4, 0.3, 0.2, 0.1], 12, rng), np.arange(12)))
    assert steady.by_chance > 0.2  # an index that would be an alarm is what twelve events give by chance
    assert steady.p_value > 0.01


def test_a_number_that_moves_has_the_gap_of_scipy():
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=3_000), rng.normal(0.5, 1, size=3_000)
    reference = Distribution.of_numbers(pl.Series(before), np.arange(3_000))
    found = distance(reference, reference.like(pl.Series(after), np.arange(3_000)))
    exact = stats.ks_2samp(before, after)
    assert found.ks == pytest.approx(exact.statistic, abs=0.008)
    assert found.ks_p_value < 1e-20
    assert found.psi == pytest.approx(0.25, abs=0.1)


def test_a_change_between_the_edges_is_seen_by_the_gap_alone():
    rng = np.random.default_rng(3)
    before = rng.uniform(size=4_000)
    reference = Distribution.of_numbers(pl.Series(before), np.arange(4_000), n_bins=2)
    pushed = np.where(before < 0.5, before / 2, before)
    found = distance(reference, reference.like(pl.Series(pushed), np.arange(4_000)))
    assert found.psi_p_value > 0.5
    assert found.ks == pytest.approx(0.25, abs=0.02)
    assert found.p_value < 1e-10


def test_one_cell_cannot_move():
    reference = Distribution.of_values(pl.Series(["a"] * 50), np.arange(50))
    found = distance(reference, reference.like(pl.Series(["a"] * 20), np.arange(20)))
    assert (found.by_chance, found.p_value) == (0.0, 1.0)


def test_a_column_that_breaks_is_another_population():
    rng = np.random.default_rng(4)
    reference = Distribution.of_numbers(pl.Series(rng.normal(size=1_000)), np.arange(1_000))
    broken = pl.Series([None] * 500, dtype=pl.Float64)
    found = distance(reference, reference.like(broken, np.arange(500)))
    assert found.ks is None
    assert found.psi > 1
    assert found.p_value < 1e-10


def test_listeners_who_keep_to_their_numbers_raise_no_false_alarms_either():
    rng = np.random.default_rng(5)

    def drawn():
        n_events = rng.geometric(1 / 20, 60)
        listeners = np.repeat(np.arange(60), n_events)
        return pl.Series(rng.normal(size=60)[listeners] + rng.normal(0, 0.5, len(listeners))), listeners

    found = []
    for _ in range(150):
        reference = Distribution.of_numbers(*drawn())
        found.append(distance(reference, reference.like(*drawn())))
    rejected = sum(one.p_value < 0.05 for one in found)
    assert stats.binomtest(rejected, 150, 0.05, alternative="greater").pvalue > 1e-4
