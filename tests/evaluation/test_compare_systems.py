"""Pairwise comparison of results that may come from anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.errors import BadInputError
from audotics.evaluation import SystemResult
from audotics.evaluation.systems import compare_systems, find_system


def result(name: str, values: np.ndarray) -> SystemResult:
    return SystemResult(
        name, {"ndcg@20": values, "mrr@20": values / 2}, {}, {}, n_without_lists=0, seconds=None, heads={}
    )


def noisy(name: str, lead: float, seed: int) -> SystemResult:
    base = np.random.default_rng(0).random(200)
    return result(name, base + lead + np.random.default_rng(seed).normal(0, 0.1, 200))


def test_find() -> None:
    results = [noisy("a", 0, 1), noisy("b", 0, 2)]
    assert find_system(results, "b") is results[1]
    with pytest.raises(BadInputError, match="no system was evaluated as 'c'"):
        find_system(results, "c")


def test_one_entry_per_baseline_and_metric() -> None:
    results = [noisy("ours", 0.1, 1), noisy("x", 0, 2), noisy("y", 0, 3)]
    found = compare_systems(results, "ours", ["ndcg@20", "mrr@20"])
    assert [(entry.metric, entry.baseline) for entry in found] == [
        ("ndcg@20", "x"),
        ("ndcg@20", "y"),
        ("mrr@20", "x"),
        ("mrr@20", "y"),
    ]
    assert {entry.system for entry in found} == {"ours"}
    assert found[2].difference == pytest.approx(found[0].difference / 2)


def test_correction_counts_the_baselines_not_the_metrics() -> None:
    results = [noisy("ours", 0.02, 1), *(noisy(f"x{n}", 0, 2 + n) for n in range(4))]
    alone = compare_systems(results[:2], "ours", ["ndcg@20", "mrr@20"])
    assert all(entry.p_holm == entry.p_value for entry in alone)
    among = compare_systems(results, "ours", ["ndcg@20"])
    smallest = min(among, key=lambda entry: entry.p_value)
    assert smallest.p_holm == pytest.approx(min(1.0, 4 * smallest.p_value))


def test_without_baselines_there_is_nothing_to_say() -> None:
    assert compare_systems([noisy("ours", 0, 1)], "ours", ["ndcg@20"]) == ()


def test_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(BadInputError, match=r"'ndcg@50' was not evaluated.*ndcg@20, mrr@20"):
        compare_systems([noisy("ours", 0, 1), noisy("x", 0, 2)], "ours", ["ndcg@50"])


def test_order_of_results_does_not_matter() -> None:
    results = [noisy("ours", 0.05, 1), noisy("x", 0, 2), noisy("y", 0.01, 3)]
    forward = {entry.baseline: entry for entry in compare_systems(results, "ours", ["ndcg@20"])}
    backward = {entry.baseline: entry for entry in compare_systems(results[::-1], "ours", ["ndcg@20"])}
    assert forward == backward


@settings(deadline=None, max_examples=30)
@given(st.floats(-0.3, 0.3), st.integers(0, 5))
def test_interval_and_p_value_tell_the_same_story(lead: float, seed: int) -> None:
    (entry,) = compare_systems(
        [noisy("ours", lead, 10 + seed), noisy("x", 0, 20 + seed)], "ours", ["ndcg@20"]
    )
    assert entry.low <= entry.difference <= entry.high
    outside = entry.low > 0 or entry.high < 0
    # At the edge the percentile interval and the shifted test may differ by a few resamples.
    if outside:
        assert entry.p_value < 0.10
    else:
        assert entry.p_value > 0.02
