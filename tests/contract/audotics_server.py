"""The real server as a child process, on a free port, with settings of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

from contract.services import PATIENCE_S, Server


class AudoticsServer(Server):
    """`audotics serve` over a folder of models.

    Args:
        folder: Of its journal and log.
        models: Folder of versions.
        settings: Deployment settings by name, beside those.
        port: Where it listens; else a free port.
    """

    _end = signal.SIGTERM

    def __init__(self, folder: Path, models: Path, port: int | None = None, **settings: object) -> None:
        super().__init__(folder)
        self.port = port or self.port
        self.models = models
        self.settings = {"database_url": f"sqlite:///{folder / 'journal.db'}", **settings}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "server.log").read_text(encoding="utf-8")

    @property
    def workers(self) -> list[int]:
        """Process ids of its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(one) for one in children]

    def kill(self) -> None:
        """Without a word, as when memory runs out."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def start_and_fail(self) -> tuple[int, str]:
        """Start a server that cannot; its exit code and what it said."""
        done = subprocess.run(
            self._command(), cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return done.returncode, done.stderr

    def get(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and body of a GET, without a client library; (0, {}) where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        except OSError:
            return 0, {}
        head, _, body = answer.partition(b"\r\n\r\n")
        return (int(head.split()[1]), json.loads(body)) if head else (0, {})

    def _command(self) -> list[str]:
        named = [f"AUDOTICS_{name.upper()}={value}" for name, value in self.settings.items()]
        serve = [str(Path(sys.executable).with_name("audotics")), "serve"]
        return ["env", *named, *serve, "--models", str(self.models), "--port", str(self.port)]

    def _answers(self) -> bool:
        return self.get("/health/ready")[0] == 200
