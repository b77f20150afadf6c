"""One look at a service, printed as JSON: what a server runs beside itself every few minutes.

``python -m audotics.monitoring MODELS VERSION ROWS``; the journal is that of the deployment settings.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from audotics.errors import AudoticsError
from audotics.journal.engine import open_engine
from audotics.monitoring.monitor import monitor
from audotics.registry import Registry
from audotics.settings import read_settings

NICENESS = 10
"""Requests go first."""


def main(models: str, version: str, rows: str) -> int:
    """Print the report; the exit code is that of the error where there is one."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        engine = open_engine(read_settings().database_url.get_secret_value(), timeout_s=10)
        try:
            report = monitor(Registry(Path(models)), engine, version=version, most_rows=int(rows))
        finally:
            engine.dispose()
    except AudoticsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(report.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
