"""Where the time of one personalised request goes, stage by stage, in this process.

    OMP_NUM_THREADS=1 python scripts/measure_request.py models 500

Milliseconds of processor time, which other processes of the machine cannot take away (their share of the
memory's speed they can): so the last line has a product of 100,000 x 64 numbers, measured in the same run.
Stages inside another are indented; the clock itself adds a few per cent.
"""

from __future__ import annotations

import argparse
import functools
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import numpy as np  # noqa: E402 - what importing takes is measured

from audotics.domain import Query  # noqa: E402
from audotics.features.content_profile import ContentProfile  # noqa: E402
from audotics.features.history import HistoryStatistics  # noqa: E402
from audotics.ranking.protocol import Ranker  # noqa: E402
from audotics.recommender import bundle, candidates, recommender, score_rows  # noqa: E402
from audotics.recommender.ranking_features import FeatureAssembler  # noqa: E402
from audotics.recommender.reasons import Explainer  # noqa: E402
from audotics.registry.store import Registry  # noqa: E402

ROWS = (score_rows.DenseRows, score_rows.SharedRow, score_rows.SparseRows, score_rows.ProductRows)


class Stages:
    """Adds up the time of functions by stage, one row for each request."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Measure a function of a module or class from now on."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.measured(stage):
                return original(*args, **kwargs)

        setattr(owner, name, measured)

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        """Add what happens inside to the last row."""
        began = time.thread_time()
        yield
        if self.rows:
            row = self.rows[-1]
            row[stage] = row.get(stage, 0.0) + time.thread_time() - began

    def table(self) -> list[str]:
        """A line for each stage: median and 99th percentile over the requests."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        lines = []
        for name in sorted(names, key=_ORDER.index):
            taken = np.array([row.get(name, 0.0) for row in self.rows]) * 1e3
            p50, p99 = np.percentile(taken, [50, 99])
            lines.append(f"{name:24}{p50:9.3f}{p99:9.3f}{taken.mean():9.3f}")
        return lines


_ORDER: list[str] = []
"""Names of the stages, in the order of the table."""


def watch_all(stages: Stages, model: recommender.Recommender) -> None:
    """Measure every stage of this model's requests."""

    def watch(owner: Any, name: str, stage: str) -> None:
        if stage not in _ORDER:
            _ORDER.append(stage)
        stages.watch(owner, name, stage)

    watch(recommender.Recommender, "encode", "encode")
    watch(recommender.Recommender, "wishes", "encode")
    watch(candidates.CandidateGenerator, "generate", "candidates")
    watch(candidates.CandidateGenerator, "generate_with_new", "candidates")
    watched: set[type] = set()
    for retriever in model.retrievers:
        watch(type(retriever), "compact_scores", f"  {retriever.name}")
    for rows in ROWS:
        watch(rows, "best", "  the best of each")
        watch(rows, "at", "  scores of candidates")
    watch(candidates, "ranked_union", "  union")
    watch(FeatureAssembler, "assemble", "features")
    watch(HistoryStatistics, "compute", "  history")
    watch(ContentProfile, "compute", "  content")
    watch(type(model.unheard.ranker), "score", "ranker")
    for member in _members(model.unheard.ranker):
        if type(member) not in watched:
            watched.add(type(member))
            watch(type(member), "score", f"  {member.name}")
    watch(recommender, "filled", "rules")
    watch(Explainer, "phrases", "reasons")
    _ORDER.append("total")


def _members(ranker: Ranker) -> Iterator[Ranker]:
    for inner in (*getattr(ranker, "tiers", ()), *getattr(ranker, "members", ())):
        yield inner
        yield from _members(inner)


def floor() -> float:
    """Median milliseconds of a product of 100,000 x 64 numbers with a vector."""
    matrix = np.random.default_rng(0).random((100_000, 64), dtype=np.float32)
    return float(np.median([_taken(lambda: matrix @ matrix[0]) for _ in range(50)])) * 1e3


def _taken(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def main() -> None:
    """Load the champion, ask for listeners at random, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("models", type=Path, help="Folder of trained versions.")
    parser.add_argument("n_requests", type=int, nargs="?", default=300)
    parser.add_argument("--k", type=int, default=20, help="Length of the slates.")
    chosen = parser.parse_args()
    imported = time.perf_counter()
    model = bundle.load(Registry(chosen.models).folder("champion"))
    loaded = time.perf_counter()
    rng = np.random.default_rng(0)
    listeners = [model.users.ids[i] for i in rng.integers(len(model.users), size=chosen.n_requests)]
    model.recommend([Query(user_id=listeners[0], k=chosen.k)])
    answered = time.perf_counter()
    print(f"{len(model.users):,} listeners, {len(model.tracks):,} tracks, {len(model.retrievers)} retrievers")
    print(
        f"seconds to import {imported - STARTED:.2f}, to load {loaded - imported:.2f}, "
        f"to the first answer {answered - loaded:.2f}"
    )
    stages = Stages()
    watch_all(stages, model)
    for listener in listeners:
        stages.rows.append({})
        with stages.measured("total"):
            model.recommend([Query(user_id=listener, k=chosen.k)])
    print(f"\n{'stage (ms)':24}{'p50':>9}{'p99':>9}{'mean':>9}")
    print("\n".join(stages.table()))
    print(f"\nfloor: 100,000 x 64 product {floor():.2f} ms")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"resident, mapped files included: {resident:,.0f} MiB at most")


if __name__ == "__main__":
    main()
