"""PerformanceMonitor: how long named pieces of work take, as histograms, at next to no cost.

monitor = PerformanceMonitor()

@monitor("rank")
def rank(...): ...          # async functions alike

with monitor("read"): ...   # async with alike

monitor.snapshot()["rank"].p99_s
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, overload

from audotics.errors import BadInputError, MissingExtraError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

P = ParamSpec("P")
R = TypeVar("R")

OTHERS = "(others)"
"""Where the times of further names go once there are as many as a monitor may hold."""

_SUB_BITS = 4
_PARTS = 1 << _SUB_BITS
"""Buckets of one octave: a quantile is off by 3 % at most, half a bucket."""

_OCTAVES = 44
"""The last bucket takes everything from 2.4 hours on."""

_SECOND = 1e9
_FIRST_EXPORTED, _LAST_EXPORTED = 10, 34
"""Prometheus sees one bucket an octave, 1 µs to 17 s: 2^10 to 2^34 nanoseconds."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What one piece of work took so far.

    Args:
        n: How often it ran, the times that failed included.
        n_failed: How often it ended with an exception.
        total_s: Seconds altogether.
        p50_s: Half of the runs were as fast as this or faster.
        p90_s: Nine tenths.
        p99_s: All but one in a hundred.
        longest_s: The slowest run.
    """

    n: int
    n_failed: int
    total_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    longest_s: float


class _Series:
    """Counts of one name; what is added under the lock is a handful of integers."""

    __slots__ = ("counts", "failed", "lock", "longest", "total")

    def __init__(self) -> None:
        self.lock = Lock()
        self.counts = [0] * (_OCTAVES << _SUB_BITS)
        self.total = self.longest = self.failed = 0

    def add(self, ns: int, failed: bool) -> None:
        place = _bucket(ns)
        with self.lock:
            self.counts[place] += 1
            self.total += ns
            if ns > self.longest:
                self.longest = ns
            if failed:
                self.failed += 1

    def copy(self) -> _Series:
        other = _Series()
        with self.lock:
            other.counts = self.counts.copy()
            other.total, other.longest, other.failed = self.total, self.longest, self.failed
        return other

    def timing(self) -> Timing:
        found = self.copy()
        p50, p90, p99 = (found.quantile(share) for share in (0.5, 0.9, 0.99))
        return Timing(
            sum(found.counts), found.failed, found.total / _SECOND, p50, p90, p99, found.longest / _SECOND
        )

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the runs ended: the middle of a bucket, at most the longest."""
        wanted = share * sum(self.counts)
        seen = 0
        for place, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                middle = (_lower_bound(place) + _lower_bound(place + 1) - 1) / 2
                return min(middle, self.longest) / _SECOND
        return 0.0


class Timer:
    """One measurement: a decorator, or a context manager for one block at a time.

    Get it by calling a `PerformanceMonitor`; a timer that is shared between threads must be used as a
    decorator only.
    """

    __slots__ = ("_began", "_series")

    def __init__(self, series: _Series) -> None:
        self._series = series
        self._began = 0

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, which is timed from now on.

        Raises:
            BadInputError: It is a generator: what its caller does between two values would be timed, too.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise BadInputError(
                "a generator cannot be timed as a call",
                where=function.__qualname__,
                remedy="Time what it does for one value inside it: `with monitor(name):`",
            )
        return _timed(function, self._series.add)

    def __enter__(self) -> Self:
        """Begin."""
        self._began = perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; exceptions pass through."""
        self._series.add(perf_counter_ns() - self._began, kind is not None)

    async def __aenter__(self) -> Self:
        """Begin."""
        self._began = perf_counter_ns()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; exceptions pass through."""
        self._series.add(perf_counter_ns() - self._began, kind is not None)


class PerformanceMonitor:
    """Times named pieces of work in histograms with 16 buckets an octave (HdrHistogram's layout).

    Quantiles are exact to 3 %, from nanoseconds to hours; means hide what the slowest listeners see.
    Safe to use from several threads and tasks. Memory does not grow with the number of runs (6 KiB a
    name), nor beyond ``max_names`` names: further ones are counted together under `OTHERS`.

    Args:
        max_names: How many names are told apart.
    """

    def __init__(self, *, max_names: int = 1000) -> None:
        self.max_names = max_names
        self._series: dict[str, _Series] = {}
        self._adding = Lock()

    @overload
    def __call__(self, work: str) -> Timer: ...

    @overload
    def __call__(self, work: Callable[P, R]) -> Callable[P, R]: ...

    def __call__(self, work: str | Callable[P, R]) -> Timer | Callable[P, R]:
        """A timer for the name; a bare function is decorated under its own name.

        Raises:
            BadInputError: The function is a generator.
        """
        if isinstance(work, str):
            return Timer(self._series.get(work) or self._added(work))
        return Timer(self._added(work.__qualname__))(work)

    def record(self, name: str, seconds: float, *, failed: bool = False) -> None:
        """Count a run that was timed elsewhere."""
        (self._series.get(name) or self._added(name)).add(max(0, round(seconds * _SECOND)), failed)

    def snapshot(self) -> dict[str, Timing]:
        """Every name that ran, in order, and what it took so far."""
        found = {name: series.timing() for name, series in sorted(self._series.copy().items())}
        return {name: timing for name, timing in found.items() if timing.n}

    def reset(self) -> None:
        """Begin anew; decorated functions keep their names."""
        for series in self._series.copy().values():
            with series.lock:
                series.counts = [0] * len(series.counts)
                series.total = series.longest = series.failed = 0

    def export(self, registry: CollectorRegistry, name: str = "audotics_work_seconds") -> None:
        """Show the histograms in a Prometheus registry, with the label ``work``; read when it is asked.

        Args:
            registry: Where.
            name: Of the metric, in seconds.

        Raises:
            MissingExtraError: prometheus-client is not installed.
        """
        try:
            from prometheus_client.metrics_core import HistogramMetricFamily
            from prometheus_client.registry import Collector
        except ImportError as error:
            raise MissingExtraError("PerformanceMonitor.export", "serve") from error
        series = self._series

        class Histograms(Collector):
            def collect(self) -> Iterator[Metric]:
                family = HistogramMetricFamily(name, "Time of named pieces of work", labels=["work"])
                for work, found in sorted(series.copy().items()):
                    frozen = found.copy()
                    family.add_metric([work], _exported(frozen.counts), frozen.total / _SECOND)
                yield family

        registry.register(Histograms())

    def _added(self, name: str) -> _Series:
        with self._adding:
            if name not in self._series and len(self._series) >= self.max_names:
                name = OTHERS
            return self._series.setdefault(name, _Series())


def _timed(function: Callable[P, R], add: Callable[[int, bool], None]) -> Callable[P, R]:
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def timed_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            began = perf_counter_ns()
            failed = True
            try:
                result = await function(*args, **kwargs)
                failed = False
                return result
            finally:
                add(perf_counter_ns() - began, failed)

        return cast("Callable[P, R]", timed_coroutine)

    @wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        began = perf_counter_ns()
        failed = True
        try:
            result = function(*args, **kwargs)
            failed = False
            return result
        finally:
            add(perf_counter_ns() - began, failed)

    return timed


def _bucket(ns: int) -> int:
    """Place of a duration: its octave and the part of the octave; below 16 ns every value has its own."""
    shift = ns.bit_length() - _SUB_BITS - 1
    if shift < 0:
        return ns
    place = (shift + 1 << _SUB_BITS) + (ns >> shift) - _PARTS
    return place if place < _OCTAVES << _SUB_BITS else (_OCTAVES << _SUB_BITS) - 1


def _lower_bound(place: int) -> int:
    """Least nanoseconds of a bucket."""
    if place < _PARTS:
        return place
    octave, part = divmod(place, _PARTS)
    return _PARTS + part << octave - 1


def _exported(counts: list[int]) -> list[tuple[str, float]]:
    """Cumulative counts at every power of two that Prometheus sees."""
    bounds = [
        (str((1 << power) / _SECOND), float(sum(counts[: _bucket(1 << power)])))
        for power in range(_FIRST_EXPORTED, _LAST_EXPORTED + 1)
    ]
    return [*bounds, ("+Inf", float(sum(counts)))]
