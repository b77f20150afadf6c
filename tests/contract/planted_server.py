"""The real server with a bad version: `python -m contract.planted_server FAULT VERSION serve ...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from contract.audotics_server import AudoticsServer

TESTS = Path(__file__).parents[1]


class PlantedServer(AudoticsServer):
    """`audotics serve` in whose process a version answers by a fault of `planted_faults`.

    Args:
        folder: Of its journal and log.
        models: Folder of versions.
        fault: Name of the fault; none where empty.
        version: Which version.
        settings: Deployment settings by name.
    """

    def __init__(self, folder: Path, models: Path, fault: str, version: str, **settings: object) -> None:
        super().__init__(folder, models, **settings)
        self._fault, self._version = fault, version

    def _command(self) -> list[str]:
        command = super()._command()
        place = command.index("serve")
        planted = [sys.executable, "-m", "contract.planted_server", self._fault or "-", self._version]
        return [*command[: place - 1], f"PYTHONPATH={TESTS}", *planted, *command[place:]]


def main(fault: str, version: str, *arguments: str) -> None:
    """Plant the fault, then do what the command line says."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from audotics.cli.main import main as run
    from audotics.recommender.recommender import Recommender
    from contract.planted_faults import planted

    if fault != "-":
        Recommender.recommend = planted(fault, version)  # type: ignore[method-assign]
    sys.argv = ["audotics", *arguments]
    run()


if __name__ == "__main__":
    main(*sys.argv[1:])
