from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audotics.evaluation.significance import (
    bootstrap_intervals,
    holm,
    paired_difference,
    resampled_means,
)


def normal(n: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def test_resamples_are_means_of_drawn_listeners() -> None:
    # Powers of three tell who was drawn how often; each draw of three listeners sums to three.
    means = resampled_means(np.array([[1.0], [4.0], [16.0]]), n_resamples=500)[:, 0] * 3
    possible = {a + 4 * b + 16 * c for a in range(4) for b in range(4) for c in range(4) if a + b + c == 3}
    assert set(np.round(means, 9)) == possible


def test_columns_share_their_listeners() -> None:
    values = normal(50)
    means = resampled_means(np.column_stack([values, 2 * values + 1]), 200)
    assert means[:, 1] == pytest.approx(2 * means[:, 0] + 1)


def test_blocks_do_not_change_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audotics.evaluation.significance._CELLS_PER_BLOCK", 70)
    means = resampled_means(normal(30)[:, None], 55)
    assert means.shape == (55, 1)
    assert len(np.unique(means)) == 55


def test_listeners_without_a_value_are_left_out() -> None:
    values = np.array([[1.0, 1.0], [np.nan, 1.0], [1.0, 0.0]])
    means = resampled_means(values, 300)
    drawn = ~np.isnan(means[:, 0])
    assert means[drawn, 0] == pytest.approx(1.0)
    assert drawn.sum() < 300, "some of 300 resamples drew only the listener without a value"


def test_interval_is_close_to_the_normal_one() -> None:
    values = normal(2000, mean=0.3)
    found = bootstrap_intervals({"m": values}, n_resamples=4000)["m"]
    low, high = stats.norm.interval(0.95, values.mean(), values.std(ddof=1) / np.sqrt(2000))
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.004))
    assert found.n == 2000


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).exponential(1.0, 300)
    found = bootstrap_intervals({"m": values}, n_resamples=5000)["m"]
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.01)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        found = bootstrap_intervals({"m": normal(80, seed)}, n_resamples=300, seed=seed)["m"]
        covered += found.low <= 0.0 <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_same_seed_same_interval() -> None:
    metrics = {"m": normal(100)}
    assert bootstrap_intervals(metrics, seed=1) == bootstrap_intervals(metrics, seed=1)
    assert bootstrap_intervals(metrics, seed=1) != bootstrap_intervals(metrics, seed=2)


def test_metrics_without_values_are_left_out() -> None:
    found = bootstrap_intervals({"none": np.full(3, np.nan), "some": np.array([1.0, np.nan, 3.0])})
    assert set(found) == {"some"}
    assert (found["some"].mean, found["some"].n) == (2.0, 2)
    assert bootstrap_intervals({}) == {}


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_interval_holds_the_resampled_middle(values: list[float]) -> None:
    found = bootstrap_intervals({"m": np.array(values)}, n_resamples=200)["m"]
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_pairs_see_what_single_intervals_hide() -> None:
    # Listeners differ much, the systems differ by a little everywhere.
    base = np.random.default_rng(0).uniform(0, 1, 400)
    better = base + 0.01 + np.random.default_rng(1).normal(0, 0.02, 400)
    single = bootstrap_intervals({"a": base, "b": better})
    assert single["a"].high > single["b"].low, "the two intervals overlap"
    found = paired_difference(better, base)
    assert found.low > 0
    assert found.p_value == pytest.approx(1 / 1001)
    assert found.t_test_p_value < 1e-6


@pytest.mark.parametrize("shift", [0.0, 0.08, 0.15])
def test_p_value_agrees_with_the_t_test(shift: float) -> None:
    first, second = normal(500, 5, shift), normal(500, 6)
    found = paired_difference(first, second, n_resamples=5000)
    expected = stats.ttest_rel(first, second).pvalue
    assert found.t_test_p_value == pytest.approx(expected)
    assert found.p_value == pytest.approx(expected, abs=0.02)
    assert found.difference == pytest.approx(first.mean() - second.mean())


def test_p_value_agrees_with_wilcoxon_on_a_clear_case() -> None:
    first, second = normal(200, 1, 0.5), normal(200, 2)
    assert stats.wilcoxon(first, second).pvalue < 0.001
    assert paired_difference(first, second).p_value < 0.005


def test_false_alarms_are_as_rare_as_they_should_be() -> None:
    alarms = sum(
        paired_difference(normal(60, 2 * s), normal(60, 2 * s + 1), n_resamples=200).p_value < 0.05
        for s in range(200)
    )
    assert alarms / 200 < 0.10


def test_swapping_systems_mirrors_the_difference() -> None:
    first, second = normal(100, 1), normal(100, 2)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.difference == -other.difference
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))
    assert one.p_value == other.p_value


@pytest.mark.parametrize(
    ("first", "t_test"), [([0.2, 0.5, 0.1], 1.0), ([0.7, 1.0, 0.6], 0.0), ([0.2, 0.5, np.nan], 1.0)]
)
def test_differences_without_spread(first: list[float], t_test: float) -> None:
    found = paired_difference(np.array(first), np.array([0.2, 0.5, 0.1]))
    assert found.t_test_p_value == pytest.approx(t_test, abs=1e-12)
    assert found.p_value == (1.0 if t_test == 1.0 else pytest.approx(1 / 1001))


def test_one_listener_proves_nothing() -> None:
    assert paired_difference(np.array([1.0]), np.array([0.0])).t_test_p_value == 1.0


def test_only_listeners_with_both_values_count() -> None:
    found = paired_difference(np.array([1.0, np.nan, 3.0]), np.array([0.0, 5.0, np.nan]))
    assert (found.n, found.difference) == (1, 1.0)
    with pytest.raises(ValueError, match="no listener"):
        paired_difference(np.array([np.nan]), np.array([1.0]))


def test_holm_by_hand() -> None:
    # Sorted: .01 x 4, .02 x 3, .03 x 2, .5 x 1; each at least as large as the one before.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_properties(p_values: list[float]) -> None:
    corrected = np.array(holm(p_values))
    p = np.array(p_values)
    assert np.all(corrected >= p - 1e-12)
    assert np.all(corrected <= np.minimum(1, len(p) * p) + 1e-12), "never stricter than Bonferroni"
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(corrected[order]) >= 0)


def test_twenty_metrics_of_twelve_thousand_listeners_in_three_seconds() -> None:
    values = np.random.default_rng(0).random((12_000, 20))
    started = time.process_time()
    bootstrap_intervals({str(column): values[:, column] for column in range(20)}, n_resamples=1000)
    assert time.process_time() - started < 3.0
