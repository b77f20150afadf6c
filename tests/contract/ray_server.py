"""`audotics serve --engine ray` as a child process with a cluster of its own."""

from __future__ import annotations

from pathlib import Path

from contract.audotics_server import AudoticsServer
from contract.ray_processes import REPLICA, ray_processes


class RayServer(AudoticsServer):
    """Starts Ray, Serve and the replicas; needs longer than a server without.

    Args:
        folder: Of its journal and log.
        models: Folder of versions.
        n_replicas: Replicas.
        settings: Deployment settings by name, beside those.
    """

    patience_s = 300.0

    def __init__(self, folder: Path, models: Path, n_replicas: int = 2, **settings: object) -> None:
        super().__init__(folder, models, None, **settings)
        self._n_replicas = n_replicas

    def replicas(self) -> list[int]:
        """Process ids of the replicas."""
        return ray_processes(REPLICA, below=self.pid)

    def get(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and body; (0, {}) also while Serve says, in words of its own, that nothing is there yet."""
        try:
            return super().get(path)
        except ValueError:
            return 0, {}

    def _command(self) -> list[str]:
        return [*super()._command(), "--engine", "ray", "--workers", str(self._n_replicas)]
