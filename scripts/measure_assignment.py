"""Deals ten million listeners out and judges the result.

    python scripts/measure_assignment.py [--listeners 10000000]

Prints a Markdown table: time on one core, uniformity of the buckets, independence of two experiments, whether
two processes with other hash seeds agree, and what one request costs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency, chisquare

from audotics.experiments.allocation import with_shares
from audotics.experiments.arms import N_BUCKETS
from audotics.experiments.assignment import Asker, Assignment, dealt
from audotics.experiments.definition import Experiment, State
from audotics.experiments.hashing import buckets_of, listener_hashes, xxh64

N_REQUESTS = 50_000
JOINT = 100
"""Buckets are joined to so many before the table of two experiments is made."""


def experiment(name: str, **more: object) -> Experiment:
    """Half control, half new."""
    shares = {"control": 5000, "new": 5000}
    buckets, _ = with_shares({}, {}, shares)
    arms = [{"name": arm, "share": share} for arm, share in shares.items()]
    return Experiment.model_validate(
        {"name": name, "arms": arms, "buckets": buckets, "state": State.RUNNING, **more}
        | {"created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    )


def listeners(n: int) -> pl.Series:
    """Ids as services have them: numbers behind a word."""
    return pl.select((pl.lit("listener-") + pl.int_range(n).cast(pl.String)).alias("user_id")).to_series()


def digest(n: int) -> str:
    """Of the arms of the first listeners."""
    return hashlib.sha256(dealt(experiment("ranker"), listener_hashes(listeners(n))).tobytes()).hexdigest()


def other_processes_agree(n: int) -> bool:
    """Whether processes with other seeds of Python's own hash deal alike."""
    program = f"import measure_assignment as m; print(m.digest({n}))"
    digests = {
        subprocess.run(  # noqa: S603 - this program itself
            [sys.executable, "-c", program],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("0", "12345")
    }
    return digests == {digest(n)}


def microseconds_each(assignment: Assignment, ids: list[str]) -> float:
    """Of one request, the best of five rounds."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for one in ids:
            assignment.of(Asker(one))
        rounds.append(time.perf_counter() - start)
    return min(rounds) / len(ids) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=10_000_000)
    n = parser.parse_args().listeners
    ids = listeners(n)
    start, cpu_start = time.perf_counter(), time.process_time()
    hashes = listener_hashes(ids)
    first = dealt(experiment("ranker"), hashes)
    dealt_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    second = dealt(experiment("rules", layer="rules"), hashes)
    buckets = [buckets_of(hashes, xxh64(f"experiment:{name}".encode())) for name in ("ranker", "rules")]
    uniform = chisquare(np.bincount(buckets[0], minlength=N_BUCKETS)).pvalue
    step = N_BUCKETS // JOINT
    cells = (buckets[0] // step).astype(np.int64) * JOINT + buckets[1] // step
    joint = chi2_contingency(np.bincount(cells, minlength=JOINT**2).reshape(JOINT, JOINT)).pvalue
    arms = chi2_contingency(np.histogram2d(first, second, bins=2)[0]).pvalue
    one = Assignment([experiment("ranker")])
    three = Assignment([experiment(name, layer=name) for name in ("ranker", "rules", "weights")])
    some = ids[:N_REQUESTS].to_list()
    rows = [
        (f"{n:,} listeners dealt out", f"{dealt_s:.2f} s ({cpu_s:.2f} s of one core)"),
        (f"uniform over {N_BUCKETS:,} buckets, chi-squared", f"p = {uniform:.3f}"),
        (f"two experiments, {JOINT} by {JOINT} buckets, chi-squared", f"p = {joint:.3f}"),
        ("two experiments, arms by arms, chi-squared", f"p = {arms:.3f}"),
        ("processes with other hash seeds agree", "yes" if other_processes_agree(100_000) else "NO"),
        ("one request, one experiment", f"{microseconds_each(one, some):.1f} us"),
        ("one request, three layers", f"{microseconds_each(three, some):.1f} us"),
    ]
    print("| measured | value |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
