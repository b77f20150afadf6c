"""The peers' own libraries beside ours: one split, one evaluation, each system in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.benchmark.names import PEERS as PEERS
    from audotics.benchmark.plot import write_plot as write_plot
    from audotics.benchmark.protocol import Peer as Peer
    from audotics.benchmark.render import benchmark_panels as benchmark_panels
    from audotics.benchmark.report import BenchmarkReport as BenchmarkReport
    from audotics.benchmark.report import Conditions as Conditions
    from audotics.benchmark.running import run_benchmark as run_benchmark
    from audotics.benchmark.systems import Ours as Ours

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "PEERS": "names",
        "BenchmarkReport": "report",
        "Conditions": "report",
        "Ours": "systems",
        "Peer": "protocol",
        "benchmark_panels": "render",
        "run_benchmark": "running",
        "write_plot": "plot",
    },
)
