"""The command line and the package start without the libraries that take seconds to import."""

import json
import statistics
import subprocess
import sys
import time

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


def fastest(arguments: list[str], n_runs: int = 5) -> float:
    """The least disturbed of a few runs, seconds: other work on the machine only ever adds."""
    seconds = []
    for _ in range(n_runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def test_help_answers_within_300_ms_beyond_bare_python():
    bare = fastest(["-c", "pass"])
    # A busy or slow machine shows in what the standard library takes; the limit is for a fast one.
    yardstick = statistics.fmean(
        [fastest(["-c", "import asyncio, argparse, email.message, http.client"], 3) - bare]
    )
    slowness = max(1.0, yardstick / 0.12)
    assert fastest(["-c", HELP]) - bare < 0.3 * slowness
