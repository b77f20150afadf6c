"""The run: every system in turn, one evaluation of all their lists, one report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from audotics.benchmark.machine import this_machine
from audotics.benchmark.names import Lineup, line_up
from audotics.benchmark.preparation import Material, prepare
from audotics.benchmark.processes import JobFailedError
from audotics.benchmark.report import BenchmarkReport, Conditions
from audotics.benchmark.systems import Finished, Ours, Turns
from audotics.data.dataset import Dataset
from audotics.errors import RefusedError
from audotics.evaluation.systems import SystemResult
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.judging import HYBRID


def run_benchmark(
    dataset: Dataset,
    test: pl.DataFrame | None,
    conditions: Conditions,
    *,
    config: TrainConfig,
    peers: Sequence[str] | None = None,
    ours: Ours | None = None,
    progress: Progress | None = None,
) -> BenchmarkReport:
    """Fit and tune every system on one training part and measure them on one test.

    Everything in between lies in a temporary folder that is gone afterwards, whatever happens.

    Args:
        dataset: All data, or the training part where there is a test.
        test: ``user_id`` and ``track_id`` of what was held out; None holds a part out of the Dataset.
        conditions: What is the same for every system.
        config: How to hold out, and whether heard tracks count.
        peers: Names of `PEERS`; None takes all that are installed and of use on the data.
        ours: How ours takes part; None leaves it out.
        progress: Who is told.

    Raises:
        BadInputError: A peer does not exist, is not installed or cannot use the data; nothing can be held
            out, or nothing of the test is left to evaluate on.
        RefusedError: No system came to its end.
    """
    progress = progress or Progress()
    lineup = line_up(peers, ordered=_is_ordered(dataset), include_heard=config.include_heard)
    with TemporaryDirectory(prefix="audotics-benchmark-") as folder:
        with progress.stage("read and hold out"):
            material = prepare(dataset, test, config, Path(folder) / "material")
        turns = Turns(material, conditions, Path(folder), progress)
        finished, failed = run_all(lineup, ours, turns)
        with progress.stage("evaluate"):
            return _report(material, conditions, lineup, finished, failed)


def run_all(lineup: Lineup, ours: Ours | None, turns: Turns) -> tuple[list[Finished], dict[str, str]]:
    """Give every system its turn; one that fails is told of and the others go on.

    Returns:
        Those that came to their end, and for the others why not.

    Raises:
        RefusedError: No system came to its end.
    """
    waiting: dict[str, Callable[[], Finished]] = {
        entry.name: partial(turns.peer, entry) for entry in lineup.peers
    }
    if ours is not None:
        waiting[HYBRID] = partial(turns.ours, ours)
    finished: list[Finished] = []
    failed: dict[str, str] = {}
    for name, turn in waiting.items():
        try:
            finished.append(turn())
        except JobFailedError as error:
            failed[name] = str(error)
    if not finished:
        told = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise RefusedError(f"no system came to its end ({told})", where="benchmark")
    return finished, failed


def _report(
    material: Material,
    conditions: Conditions,
    lineup: Lineup,
    finished: Sequence[Finished],
    failed: dict[str, str],
) -> BenchmarkReport:
    evaluator, rows = material.evaluator, material.test_rows()
    results = [
        evaluator.evaluate(system.cost.name, system.lists[rows], seconds=system.cost.recommend_s)
        for system in finished
    ]
    ordered = _ours_then_best(results, f"ndcg@{evaluator.headline}")
    costs = {system.cost.name: system.cost for system in finished}
    return BenchmarkReport(
        created_at=datetime.now(UTC),
        split=material.split,
        validation=material.validation,
        n_listeners=material.corpus.n_users,
        list_length=material.k,
        conditions=conditions,
        machine=this_machine(_libraries(lineup)),
        evaluation=evaluator.report(ordered, ordered[0].name),
        costs=tuple(costs[result.name] for result in ordered),
        failed=failed,
        left_out=lineup.left_out,
    )


def _ours_then_best(results: Sequence[SystemResult], metric: str) -> list[SystemResult]:
    return sorted(
        results, key=lambda found: (found.name != HYBRID, -float(np.nanmean(found.metrics[metric])))
    )


def _libraries(lineup: Lineup) -> Iterator[str]:
    for entry in lineup.peers:
        yield from entry.libraries


def _is_ordered(dataset: Dataset) -> bool:
    places = dataset.events().select(pl.col("timestamp", "position").drop_nulls().n_unique()).collect()
    return any(n_places > 1 for n_places in places.row(0))
