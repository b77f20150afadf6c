"""Run the tests of faults and print what was counted as a Markdown table.

    .venv/bin/python scripts/measure_faults.py [--slow] [--json FILE]

Real servers of Redis, PostgreSQL and nginx are killed, stopped and filled (scripts/install-services installs
them). Times on a machine with neighbours are worse; the deadline of the servers under test grows with them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = ("test_faults_of_stores.py", "test_faults_of_servers.py", "test_behind_nginx.py")
COLUMNS = ("fault", "requests", "failed", "wrong", "p50_ms", "p99_ms", "rungs", "recovered_s", "remarks")
SHOWN = {*COLUMNS, "statuses", "degraded"}


def main() -> int:
    """Run, collect, print; the tests' exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--slow", action="store_true", help="the long ones, too")
    parser.add_argument("--json", type=Path, help="keep the counts there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.jsonl"
        code = _run(counts, slow=given.slow)
        rows = (
            [json.loads(line) for line in counts.read_text("utf-8").splitlines()] if counts.exists() else []
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    print("\n".join(_table(rows)))
    return code


def _run(counts: Path, *, slow: bool) -> int:
    files = [str(ROOT / "tests" / "serving" / name) for name in TESTS]
    command = [sys.executable, "-m", "pytest", *files, "-p", "no:cacheprovider"]
    if slow:
        command += ["-m", "slow or not slow"]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **one_thread, "AUDOTICS_FAULT_COUNTS": str(counts)}
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode  # noqa: S603


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for row in rows:
        remarks = {name: value for name, value in row.items() if name not in SHOWN}
        statuses = {status: n for status, n in row["statuses"].items() if status != "200"}
        told = {**({"statuses": statuses} if statuses else {}), **remarks}
        cells = {**row, "remarks": _words(told), "rungs": _words(row["rungs"])}
        lines.append(f"| {' | '.join(str(cells.get(column, '')) for column in COLUMNS)} |")
    return lines


def _words(values: dict[str, Any]) -> str:
    return "; ".join(
        f"{name} {_words(value) if isinstance(value, dict) else value}" for name, value in values.items()
    )


if __name__ == "__main__":
    sys.exit(main())
