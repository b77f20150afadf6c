"""Durations go into histograms whose quantiles are those of the durations themselves, to 3 %."""

import asyncio
import threading
import timeit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from audotics import PerformanceMonitor
from audotics.errors import BadInputError
from audotics.telemetry.performance import OTHERS, _bucket, _lower_bound

NS = 1e-9


@given(st.integers(0, 10**13))
def test_a_duration_lies_in_its_bucket(ns):
    place = _bucket(ns)
    assert _lower_bound(place) <= ns < _lower_bound(place + 1)
    assert _lower_bound(place + 1) - _lower_bound(place) <= max(1, ns / 16)


@given(st.lists(st.integers(100, 10**11), min_size=1, max_size=200))
def test_quantiles_are_those_of_the_durations(durations):
    monitor = PerformanceMonitor()
    for ns in durations:
        monitor.record("work", ns * NS)
    timing = monitor.snapshot()["work"]
    ordered = np.sort(durations) * NS
    for share, found in ((0.5, timing.p50_s), (0.9, timing.p90_s), (0.99, timing.p99_s)):
        exact = ordered[int(np.ceil(share * len(ordered))) - 1]
        assert found == pytest.approx(exact, rel=0.033)
    assert timing.n == len(durations)
    assert timing.longest_s == pytest.approx(ordered[-1])
    assert timing.total_s == pytest.approx(ordered.sum())


def test_a_mean_would_hide_what_a_quantile_shows():
    monitor = PerformanceMonitor()
    for _ in range(980):
        monitor.record("answer", 0.001)
    for _ in range(20):
        monitor.record("answer", 1.0, failed=True)
    timing = monitor.snapshot()["answer"]
    assert timing.p90_s == pytest.approx(0.001, rel=0.04)
    assert timing.p99_s == pytest.approx(1.0, rel=0.04)
    assert timing.n_failed == 20


def test_hours_and_clocks_that_stand_still():
    monitor = PerformanceMonitor()
    for seconds in (0.0, -1.0, 1e6):
        monitor.record("work", seconds)
    timing = monitor.snapshot()["work"]
    assert timing.n == 3
    assert timing.p50_s == 0.0
    assert timing.longest_s == pytest.approx(1e6)


def test_blocks_functions_and_coroutines():
    monitor = PerformanceMonitor()

    @monitor("double")
    def double(value):
        """Twice."""
        return 2 * value

    @monitor("triple")
    async def triple(value):
        await asyncio.sleep(0.01)
        return 3 * value

    @monitor
    def named():
        with monitor("block"):
            return 1

    async def both():
        async with monitor("async block"):
            return await asyncio.gather(*(triple(n) for n in range(5)))

    assert double(2) == 4
    assert double.__doc__ == "Twice."
    assert asyncio.run(both()) == [0, 3, 6, 9, 12]
    assert named() == 1
    found = monitor.snapshot()
    own_name = named.__qualname__
    assert {name: timing.n for name, timing in found.items()} == {
        "double": 1,
        "triple": 5,
        "block": 1,
        "async block": 1,
        own_name: 1,
    }
    # They slept at the same time, each for itself.
    assert 0.01 <= found["triple"].p50_s < 1.0
    assert found["async block"].longest_s >= found["triple"].longest_s


def test_failures_pass_through_and_are_counted():
    monitor = PerformanceMonitor()

    @monitor("fails")
    def fails():
        raise ValueError("no")

    @monitor("fails")
    async def fails_later():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    with pytest.raises(ValueError, match="no"):
        asyncio.run(fails_later())
    with pytest.raises(KeyError), monitor("fails"):
        raise KeyError
    assert (monitor.snapshot()["fails"].n, monitor.snapshot()["fails"].n_failed) == (3, 3)


def test_a_generator_is_refused():
    monitor = PerformanceMonitor()

    def numbers():
        yield 1

    async def later():
        yield 1

    for function in (numbers, later):
        with pytest.raises(BadInputError, match="a generator cannot be timed"):
            monitor(function)


def test_no_run_of_many_threads_is_lost():
    monitor = PerformanceMonitor()

    @monitor("work")
    def work():
        pass

    def many():
        for _ in range(2_000):
            work()

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.snapshot()["work"].n == 16_000


def test_names_are_bounded_and_nothing_is_lost():
    monitor = PerformanceMonitor(max_names=3)
    for number in range(10):
        with monitor(f"work {number}"):
            pass
    found = monitor.snapshot()
    assert list(found) == [OTHERS, "work 0", "work 1", "work 2"]
    assert found[OTHERS].n == 7


def test_beginning_anew():
    monitor = PerformanceMonitor()

    @monitor("work")
    def work():
        pass

    work()
    monitor.reset()
    assert monitor.snapshot() == {}
    work()
    assert monitor.snapshot()["work"].n == 1


def test_prometheus_reads_the_same_histogram():
    monitor, registry = PerformanceMonitor(), CollectorRegistry()
    monitor.export(registry)
    for seconds in (0.0005, 0.002, 0.002, 30.0):
        monitor.record("rank", seconds)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    buckets = {
        float(sample.labels["le"]): sample.value for sample in samples if sample.name.endswith("_bucket")
    }
    assert {sample.labels["work"] for sample in samples} == {"rank"}
    assert list(buckets) == sorted(buckets)
    assert list(buckets.values()) == sorted(buckets.values())
    assert buckets[2**20 * NS] == 1
    assert buckets[2**21 * NS] == 3
    assert buckets[float("inf")] == 4
    (total,) = (sample.value for sample in samples if sample.name.endswith("_sum"))
    assert total == pytest.approx(30.0045)


def test_it_costs_less_than_two_microseconds_a_call():
    monitor = PerformanceMonitor()

    def work():
        pass

    timed = monitor("work")(work)
    bare = min(timeit.repeat(work, number=10_000, repeat=5))
    with_timing = min(timeit.repeat(timed, number=10_000, repeat=5))
    assert (with_timing - bare) / 10_000 < 2e-6
