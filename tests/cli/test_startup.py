"""The command line and the package start without the libraries that take seconds to import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "tensorflow",
    "keras",
    "sklearn",
    "scipy",
    "polars",
    "pandas",
    "pandera",
    "matplotlib",
    "optuna",
    "skops",
    "pydantic",
    "rich",
    "numpy",
}

HELP = "import sys; from audotics.cli.main import main; sys.argv = ['audotics', '--help']; main()"
LIST = """
import atexit, json, sys
def tell():
    print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)
atexit.register(tell)
"""


def modules_after(script: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LIST + script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "script",
    [
        "import audotics",
        "import audotics; dir(audotics)",
        "from audotics.telemetry import progress_on_stderr; progress_on_stderr()",
        "import audotics.registry",
        HELP,
    ],
)
def test_starting_imports_nothing_heavy(script):
    assert modules_after(script) & HEAVY == set()


def processor_seconds(script: str, cache: Path, n_runs: int = 7) -> float:
    """What a Python process with this script computes, in the least disturbed of a few runs.

    Processor time, not the clock: tests share their cores with each other. Modules are compiled in
    the first run, whatever this machine says about keeping compiled ones.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(cache)}
    seconds = []
    for _ in range(n_runs):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(usage.ru_utime + usage.ru_stime)
    return min(seconds)


def test_help_answers_within_300_ms_beyond_bare_python(tmp_path):
    assert processor_seconds(HELP, tmp_path) - processor_seconds("pass", tmp_path) < 0.3
