from __future__ import annotations

import tracemalloc
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.errors import BadInputError
from audotics.evaluation.collector import OVERFLOW, Group, MetricsCollector
from audotics.evaluation.heads import head_metrics

BOTH = ("accuracy", "precision", "recall", "f1", "log_loss", "calibration_error", "base_rate", "n")


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 7),
    st.sampled_from([0.2, 0.5]),
)
def test_streaming_equals_all_at_once(pairs: list[tuple[float, bool]], size: int, threshold: float) -> None:
    p, y = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    collector = MetricsCollector(threshold=threshold)
    for start in range(0, len(p), size):
        collector.record("v1", p[start : start + size], y[start : start + size])
    streamed, whole = collector.metrics("v1"), head_metrics(p, y, threshold=threshold)
    for name in BOTH:
        assert getattr(streamed, name) == pytest.approx(getattr(whole, name), abs=1e-9), name
    assert [part.n for part in streamed.bins] == [part.n for part in whole.bins]


def test_by_hand() -> None:
    collector = MetricsCollector()
    for p, y in ((0.9, 1), (0.8, 0), (0.4, 1), (0.3, 0)):
        collector.record("v1", p, y)
    found = collector.metrics("v1")
    assert (found.n, found.accuracy, found.precision, found.recall, found.f1) == (4, 0.5, 0.5, 0.5, 0.5)
    assert found.log_loss == pytest.approx(-np.mean(np.log([0.9, 0.2, 0.4, 0.7])))


def test_a_probability_at_the_threshold_is_positive() -> None:
    collector = MetricsCollector()
    collector.record("v1", [0.5, 0.4], [1, 0])
    assert collector.metrics("v1").recall == 1.0


def test_groups_are_counted_apart() -> None:
    collector = MetricsCollector()
    collector.record("v1", [0.9], [1], variant="control")
    collector.record("v1", [0.9], [0], variant="treatment")
    collector.record("v2", [0.9], [1])
    assert collector.groups == (Group("v1", "control"), Group("v1", "treatment"), Group("v2"))
    assert collector.metrics("v1", "control").accuracy == 1.0
    assert collector.metrics("v1", "treatment").accuracy == 0.0
    table = collector.table()
    assert table.columns[:3] == ["version", "variant", "n"]
    assert table["accuracy"].to_list() == [1.0, 0.0, 1.0]
    assert "bins" not in table.columns


def test_nothing_recorded() -> None:
    collector = MetricsCollector()
    assert collector.groups == ()
    assert collector.table().is_empty()
    with pytest.raises(BadInputError, match="nothing was recorded"):
        collector.metrics("v1")


def test_only_unknown_outcomes_make_no_group() -> None:
    collector = MetricsCollector()
    collector.record("v1", [0.2, 0.4], [np.nan, np.nan])
    assert collector.groups == ()


def test_no_positive_predictions_and_no_outcomes_are_zero_not_an_error() -> None:
    collector = MetricsCollector()
    collector.record("v1", [0.1, 0.2], [0, 0])
    found = collector.metrics("v1")
    assert (found.precision, found.recall, found.f1, found.accuracy) == (0.0, 0.0, 0.0, 1.0)


def test_bad_input_is_refused_and_changes_nothing() -> None:
    collector = MetricsCollector()
    collector.record("v1", [0.5], [1])
    with pytest.raises(BadInputError, match="2 predictions but 1 outcomes"):
        collector.record("v1", [0.5, 0.6], [1])
    with pytest.raises(BadInputError, match="between 0 and 1"):
        collector.record("v1", [0.5, 3.0], [1, 0])
    assert collector.metrics("v1").n == 1


def test_merge_adds_up() -> None:
    rng = np.random.default_rng(0)
    p, y = rng.random(100), rng.random(100) < 0.3
    whole, first, second = MetricsCollector(), MetricsCollector(), MetricsCollector()
    whole.record("v1", p, y)
    first.record("v1", p[:30], y[:30])
    second.record("v1", p[30:], y[30:])
    second.record("v2", [0.5], [1])
    assert first.merge(second) is first
    merged, expected = first.metrics("v1"), whole.metrics("v1")
    assert (merged.n, merged.f1) == (expected.n, expected.f1)
    assert merged.log_loss == pytest.approx(expected.log_loss)
    assert first.metrics("v2").n == 1
    assert second.metrics("v1").n == 70, "the other one is left as it was"
    with pytest.raises(BadInputError, match="thresholds"):
        first.merge(MetricsCollector(threshold=0.4))


def test_groups_beyond_the_limit_are_counted_together() -> None:
    collector = MetricsCollector(max_groups=3)
    for place in range(10):
        collector.record(f"v{place}", [0.9], [1])
    collector.record("v0", [0.9], [0])
    assert len(collector.groups) == 4
    assert collector.metrics(*OVERFLOW).n == 7
    assert collector.metrics("v0").n == 2, "known groups go on"


def test_memory_does_not_grow_with_predictions() -> None:
    collector = MetricsCollector()
    p, y = np.full(10_000, 0.3), np.ones(10_000)
    collector.record("v1", p, y)
    tracemalloc.start()
    for _ in range(50):
        collector.record("v1", p, y)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000
    assert collector.metrics("v1").n == 510_000


def test_threads_lose_nothing() -> None:
    collector = MetricsCollector()

    def work() -> None:
        for _ in range(200):
            collector.record("v1", [0.7, 0.2], [1, 0])

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collector.metrics("v1").n == 1600
    assert collector.metrics("v1").accuracy == 1.0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["v1", "v2"]), st.sampled_from(["", "a"]), st.floats(0, 1), st.booleans()),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_any_way_of_dividing_the_work_gives_the_same(
    records: list[tuple[str, str, float, bool]], cut: int
) -> None:
    whole, first, second = MetricsCollector(), MetricsCollector(), MetricsCollector()
    for place, (version, variant, p, y) in enumerate(records):
        for collector in (whole, first if place < cut else second):
            collector.record(version, p, y, variant=variant)
    merged = second.merge(first)
    assert merged.groups == whole.groups
    for group in whole.groups:
        found, expected = merged.metrics(*group), whole.metrics(*group)
        assert (found.n, found.accuracy, found.f1) == (expected.n, expected.accuracy, expected.f1)
        assert found.log_loss == pytest.approx(expected.log_loss)
        assert found.calibration_error == pytest.approx(expected.calibration_error)
