"""Server processes: one in this process, or several that share a port, watched and restarted."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

import uvicorn
from prometheus_client import multiprocess
from uvicorn.config import STARTUP_FAILURE

from audotics.errors import BadInputError, UnavailableError
from audotics.journal.engine import open_engine
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving.app import create_app
from audotics.serving.metrics import MULTIPROCESS
from audotics.settings import Settings, read_settings
from audotics.telemetry.logs import log_json

GRACE_S = 10.0
"""How long requests in flight may take to end after SIGTERM."""

SWITCH_S = 0.0005
"""The computing thread hands the interpreter to the event loop this often: cached answers do not wait."""

_log = logging.getLogger("audotics.serving")


def serve(settings: Settings, environment: dict[str, str]) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code.

    Args:
        settings: Deployment settings.
        environment: Variables by which other processes read the same settings.

    Raises:
        BadInputError: The address cannot be listened on, there is no model, or a setting cannot be used.
        DamagedError: The journal is no journal.
    """
    # What would fail in every worker fails here, once and in one line.
    Registry(settings.models).resolve(CHAMPION)
    with suppress(UnavailableError):  # workers start without it and wait
        open_engine(settings.database_url.get_secret_value()).dispose()
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    print(f"serving on http://{host}:{port} (documentation: /docs)", file=sys.stderr, flush=True)
    if settings.workers == 1:
        return run_worker(settings, listening)
    return _Supervisor(listening, settings.workers, environment).run()


def run_worker(settings: Settings, listening: socket.socket) -> int:
    """Serve in this process on a socket that listens already."""
    sys.setswitchinterval(SWITCH_S)
    log_json(settings.log_level)
    app = create_app(settings)
    # What was made while loading stays: the collector need not look at it in every full collection.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(GRACE_S),
        timeout_keep_alive=30,
        backlog=2048,
    )
    # Uvicorn raises the signal that ended it once more: an orderly end is no death by a signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise BadInputError(
            f"cannot listen there ({error.strerror})",
            where=f"{settings.host}:{settings.port}",
            remedy="Give another --host or --port",
        ) from error
    listening.listen(2048)
    return listening


@dataclass
class _Supervisor:
    """Keeps workers running on one socket. A worker that dies is started again, slower each time."""

    listening: socket.socket
    n_workers: int
    environment: dict[str, str]
    stopping: bool = False
    workers: dict[subprocess.Popen[bytes], float] = field(default_factory=dict)
    pause_s: float = 0.1

    def run(self) -> int:
        """Watch until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with tempfile.TemporaryDirectory(prefix="audotics-metrics-") as folder:
            self.environment = {**os.environ, **self.environment, MULTIPROCESS: folder}
            for _ in range(self.n_workers):
                self._start()
            first = tuple(self.workers)
            while not self.stopping:
                self._replace_dead()
                if all(worker.returncode == STARTUP_FAILURE for worker in first):
                    self._end()  # none of them has ever served, so the next ones will not
                    return STARTUP_FAILURE
                time.sleep(0.05)
            return self._end()

    def _start(self) -> None:
        descriptor = self.listening.fileno()
        command = [sys.executable, "-m", "audotics.serving.workers", str(descriptor)]
        worker = subprocess.Popen(command, pass_fds=[descriptor], env=self.environment)  # noqa: S603
        self.workers[worker] = time.monotonic()

    def _replace_dead(self) -> None:
        for worker, started in list(self.workers.items()):
            if worker.poll() is None:
                continue
            del self.workers[worker]
            # What a dead worker last said of its state is no part of the server's any more.
            multiprocess.mark_process_dead(worker.pid, self.environment[MULTIPROCESS])  # type: ignore[no-untyped-call]
            lived = time.monotonic() - started
            self.pause_s = 0.1 if lived > 30 else min(2 * self.pause_s, 10.0)
            _log.error("a worker ended with %s; another one starts", worker.returncode)
            time.sleep(self.pause_s if lived < 30 else 0)
            if not self.stopping:
                self._start()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _end(self) -> int:
        self.listening.close()  # else connections would wait for a worker that never comes
        for worker in self.workers:
            worker.terminate()
        until = time.monotonic() + GRACE_S + 5
        for worker in self.workers:
            try:
                worker.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        return 0


if __name__ == "__main__":
    sys.exit(run_worker(read_settings(), socket.socket(fileno=int(sys.argv[1]))))
