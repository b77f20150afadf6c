"""Kill retrainings with SIGKILL at random moments and print what that did as a Markdown table.

    .venv/bin/python scripts/measure_lifecycle_kills.py [--kills 200] [--seed 0] [--json FILE]

Half of the kills come at any moment of a run, half at a random moment of building the data, publishing,
judging or promoting, which are short beside training. A reader loads, verifies and asks the champion all
the while.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from audotics.registry.store import Registry  # noqa: E402
from contract.aging import publish_first, write_days  # noqa: E402
from contract.kills import FIRST_NEW_DAY, Kills, kill_retrainings  # noqa: E402

_GROUPS = {
    "before the first step": "taking the lease",
    "build the data": "building the data",
    "check the data": "building the data",
    "publish": "publishing",
    "judge": "judging",
    "promote": "promoting, keeping the report, pruning",
}
"""Words for steps; everything else is part of training."""


def main() -> int:
    """Kill, count, print; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="keep the counts there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publish_first(write_days(folder / "base", 0, FIRST_NEW_DAY), folder / "models")
        began = time.monotonic()
        kills = kill_retrainings(folder, given.kills, given.seed)
        seconds = time.monotonic() - began
        n_versions = len(Registry(folder / "models").versions())
    hit = by_step(kills)
    print("\n".join(table(kills, hit, n_versions, seconds)))
    if given.json:
        counts = {"hit": hit, "ended": dict(kills.ended), "n_loads": kills.n_loads, "errors": kills.errors}
        given.json.write_text(json.dumps(counts, indent=2) + "\n", "utf-8")
    return bool(kills.errors)


def by_step(kills: Kills) -> dict[str, int]:
    """Kills by the step that they hit, most hit first."""
    counts: dict[str, int] = {}
    for at, n in kills.hit.items():
        step = _GROUPS.get(at.removeprefix("after ").split(" / ")[0], "training")
        counts[step] = counts.get(step, 0) + n
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def table(kills: Kills, hit: dict[str, int], n_versions: int, seconds: float) -> list[str]:
    """The lines of the table, and what went wrong below it."""
    ended = ", ".join(f"{n} {outcome}" for outcome, n in kills.ended.most_common())
    rows = {
        **{f"killed while {step}": n for step, n in hit.items()},
        "kills in all": kills.hit.total(),
        "runs in between that ended": ended,
        "challengers that a killed run had published and a later one judged": kills.gone_on_with,
        "versions at the end, each as it was published": n_versions,
        "times that the champion was loaded, verified and asked": kills.n_loads,
        "torn champions, lost versions, runs that could not go on": len(kills.errors),
        "seconds": round(seconds),
    }
    lines = ["| what | count |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return [*lines, *(f"\nWRONG: {error}" for error in kills.errors)]


if __name__ == "__main__":
    sys.exit(main())
