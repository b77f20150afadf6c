"""The `audotics` command: joins the command modules and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from errno import ENOSPC
from importlib import import_module
from typing import Annotated

import typer

from audotics.errors import AudoticsError, BadInputError
from audotics.version import __version__

COMMAND_MODULES = (
    "demo",
    "import_",
    "simulate",
    "describe",
    "train",
    "retrain",
    "tune",
    "evaluate",
    "benchmark",
    "recommend",
    "serve",
    "monitor",
    "experiment",
    "models",
    "plan",
    "doctor",
)
"""Modules of `audotics.cli`, in the order of ``audotics --help``. Each has ``register(app)`` and imports
the rooms it calls only when its command runs, so that the command line starts at once."""

INTERRUPTED = 130

# Plain help: the decorated one needs rich, which triples the time that `audotics --help` takes.
app = typer.Typer(
    name="audotics",
    help="Hybrid music recommendation, from a listening log to evaluated recommendations.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"audotics {__version__}")
        raise typer.Exit


@app.callback()
def _audotics(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _module in COMMAND_MODULES:
    import_module(f"audotics.cli.{_module}").register(app)


def main() -> None:
    """Run the command line; ends the process with 0 done, 1 a bug, 2 bad input, 3 a check said no."""
    # TensorFlow's C++ side reports on drivers and processor features; its errors reach us as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(prog_name="audotics")
    except AudoticsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # what typer makes of Ctrl-C
            print("interrupted: unfinished work was dropped", file=sys.stderr)
        raise
    except OSError as error:
        sys.exit(
            _report_system_error(error) if error.filename or error.errno == ENOSPC else _report_bug(error)
        )
    except Exception as error:
        sys.exit(_report_bug(error))


def _report_system_error(error: OSError) -> int:
    """A file that the system did not let us read or write: for people to put right, not for us."""
    if os.environ.get("AUDOTICS_DEBUG"):
        traceback.print_exception(error)
    where = f"{error.filename}: " if error.filename else ""
    print(f"error: {where}{error.strerror}", file=sys.stderr)
    return BadInputError.exit_code


def _report_bug(error: Exception) -> int:
    if os.environ.get("AUDOTICS_DEBUG"):
        traceback.print_exception(error)
    else:
        frames = traceback.extract_tb(error.__traceback__)
        at = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        print(f"bug: {type(error).__name__}: {error}{at}", file=sys.stderr)
        print("Please report it. AUDOTICS_DEBUG=1 shows the whole traceback.", file=sys.stderr)
    return AudoticsError.exit_code
