"""What every stage costs against the size of the log, on one core, and how fast that grows.

    python scripts/measure_scale.py [--sizes 0.1,1,10] [--timeout 240] [--png FILE] [--write-costs]

For each size (million simulated events, with a listener for 100 and a track for 50 events) every stage
runs in a process of its own, pinned to one core: import, features, each retriever with its default settings,
candidate lists and the deep ranker, the loaded version with all retrievers that were fitted, and lists for
many listeners. A stage that is not done within the time-out is reported as such and left out of the curves;
so are larger sizes of it.

Prints a table; ``--png`` draws it; ``--write-costs`` puts the figures where ``audotics plan`` reads them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from scale_stages import MEASURED_IN, run_stage

from audotics.benchmark.machine import this_machine
from audotics.benchmark.processes import THREAD_VARIABLES
from audotics.distributed import costs
from audotics.distributed.costs import STAGES, MeasuredCosts, Point

EVENTS_PER_LISTENER = 100
EVENTS_PER_TRACK = 50
DAYS = 60
SIMULATION_TIMEOUT_S = 1_200.0


def tell(line: str) -> None:
    """Progress, apart from the table."""
    print(line, file=sys.stderr, flush=True)


def measured(stage: str, folder: Path, timeout_s: float) -> dict[str, dict[str, object]]:
    """Run a stage in a process of its own; the figures of it and of what is measured along with it."""
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own arguments
            command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {stage: {"outcome": "timeout", "note": f"not done after {timeout_s:,.0f} s"}}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {stage: {"outcome": "failed", "note": lines[-1][:200]}}
    figures: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(sizes: Iterable[float], timeout_s: float, parent: Path) -> dict[str, list[Point]]:
    """Every stage at every size; a stage that ran out of time is not tried at larger ones."""
    points: dict[str, list[Point]] = {stage: [] for stage in STAGES}
    given_up: set[str] = set()
    for size in sorted(sizes):
        n_events = round(size * 1e6)
        counts = {
            "n_events": n_events,
            "n_listeners": max(100, n_events // EVENTS_PER_LISTENER),
            "n_tracks": max(200, n_events // EVENTS_PER_TRACK),
        }
        folder = parent / f"{n_events}"
        folder.mkdir()
        (folder / "size.json").write_text(json.dumps({**counts, "n_days": DAYS}), encoding="utf-8")
        made = measured("simulate", folder, SIMULATION_TIMEOUT_S)
        if made.get("simulate", {}).get("outcome"):
            sys.exit(f"simulation: {made['simulate']['note']}")
        for stage in dict.fromkeys(MEASURED_IN.get(one, one) for one in STAGES):
            if stage in given_up:
                continue
            if stage == "version":
                measured("assemble", folder, SIMULATION_TIMEOUT_S)
            started = time.perf_counter()
            for name, figures in measured(stage, folder, timeout_s).items():
                whole_s = time.perf_counter() - started
                point = Point.model_validate({**counts, **figures})
                points[name].append(point)
                if point.outcome == "timeout":
                    given_up.add(stage)
                tell(f"{size:6.2f} M  {name:12s} {told(point)}  ({whole_s:.0f} s in all)")
    return points


def told(point: Point) -> str:
    """One point in words."""
    if point.outcome != "done":
        return point.note
    answer = f", {1e3 * point.answer_s:.2f} ms an answer" if point.answer_s else ""
    return f"{point.seconds:8.2f} s, {point.memory_mib:8,.0f} MiB{answer}"


def print_table(found: MeasuredCosts, sizes: Sequence[float]) -> None:
    """Seconds and memory at each size, and the exponents, as a table in Markdown."""
    head = " | ".join(f"{size:g} M: s / MiB" for size in sorted(sizes))
    print(f"| stage | grows with | {head} | exponent: time / memory |")
    print("|---|---|" + "---|" * (len(sizes) + 1))
    for stage, points in found.stages.items():
        # One point for each size, but none beyond the one that ran out of time.
        cells = [
            f"{point.seconds:,.2f} / {point.memory_mib:,.0f}" if point.outcome == "done" else point.note
            for point in points
        ]
        cells += ["not tried"] * (len(sizes) - len(cells))
        laws = [found.law(stage, "seconds"), found.law(stage, "memory_mib")]
        slopes = " / ".join(f"{law.exponent:.2f}" if law and law.n_points > 1 else "-" for law in laws)
        print(f"| {stage} | {STAGES[stage]} | {' | '.join(cells)} | {slopes} |")


def draw(found: MeasuredCosts, path: Path) -> None:
    """Time and memory against the number of events, both axes logarithmic."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from audotics.evaluation.plots import STYLE

    with rc_context(STYLE):
        figure = Figure(figsize=(11.0, 6.0), layout="constrained")
        axes = figure.subplots(1, 2)
        for one, measure_name, label in zip(
            axes, ("seconds", "memory_mib"), ("seconds on one core", "MiB"), strict=True
        ):
            for number, (stage, points) in enumerate(found.stages.items()):
                if stage == "journal":  # as many events at every size
                    continue
                done = [point for point in points if point.outcome == "done" and getattr(point, measure_name)]
                if done:
                    x, y = ([getattr(p, field) for p in done] for field in ("n_events", measure_name))
                    one.plot(x, y, marker="o^sv"[number % 4], label=stage, color=f"C{number % 10}")
            one.set(xscale="log", yscale="log", xlabel="events", ylabel=label)
            for axis in (one.xaxis, one.yaxis):
                axis.set_major_formatter("{x:,g}")
                axis.set_minor_formatter("")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
        figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print, and keep what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="0.1,1,10", help="millions of events, separated by commas")
    parser.add_argument("--timeout", type=float, default=240.0, help="seconds that a stage may take")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--png", type=Path, help="file for the picture")
    parser.add_argument("--write-costs", action="store_true", help="put the figures into the package")
    parser.add_argument("--keep", type=Path, help="existing folder to work in; else a temporary one")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps(run_stage(asked.stage, asked.folder)))
        return
    sizes = [float(size) for size in asked.sizes.split(",")]
    with TemporaryDirectory(dir=asked.keep, prefix="audotics-scale-") as folder:
        points = measure(sizes, asked.timeout, Path(folder))
    machine = this_machine()
    found = MeasuredCosts(
        machine=f"one core of {machine.cores} ({machine.processor}), {machine.memory_gib:.0f} GiB, "
        f"Python {machine.versions['python']}, audotics {machine.versions['audotics']}",
        measured_on=datetime.now(UTC).date().isoformat(),
        stages={stage: tuple(found) for stage, found in points.items()},
    )
    text = json.dumps(found.model_dump(mode="json", exclude_defaults=True), indent=1) + "\n"
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")
    if asked.write_costs:
        (Path(costs.__file__).parent / costs.COSTS_FILE).write_text(text, encoding="utf-8")
    if asked.png:
        draw(found, asked.png)
    print_table(found, sizes)


if __name__ == "__main__":
    main()
