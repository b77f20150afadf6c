"""Real servers for tests, each on a free port in a folder of its own, gone with the test run.

A plugin of tests/conftest.py, so every test can ask for:

- ``redis_server``: a running, empty Redis; ``postgresql``: the URL of an empty database. Per test.
- ``redis_process``, ``postgresql_server``: the same servers for fixtures of a wider scope.

Handles stop, start, pause and resume them: faults in tests are real ones. Nothing is skipped where a
server is not installed; the test fails and names the command that installs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE_S = 20.0
"""How long a server may take to start or stop on a busy machine."""

_EXTRA_FOLDERS = ("/usr/sbin", "/usr/local/sbin")


def binary(name: str) -> str:
    """The path of a program; fails the test where it is not installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folders = [os.environ.get("PATH", ""), *_EXTRA_FOLDERS, *map(str, reversed(versions))]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        pytest.fail(f"{name} is not installed. As root: scripts/install-services", pytrace=False)
    return found


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Poll until it is so; fails the test when patience ends."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {patience_s:.0f} s", pytrace=False)
        time.sleep(0.01)


class Server:
    """One process that listens on a port of its own; the port stays when it restarts.

    Args:
        folder: Where it keeps its files.
    """

    patience_s = PATIENCE_S

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, with what it kept, and wait until it answers; nothing where it runs."""
        if self.is_running:
            return
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, cwd=self.folder, **self._as_user()
            )
        wait_until(
            lambda: self._answers() or not self.is_running, f"{type(self).__name__} starts", self.patience_s
        )
        if not self.is_running:
            pytest.fail((self.folder / "server.log").read_text()[-2000:], pytrace=False)

    def stop(self) -> None:
        """End it at once and wait for its end; nothing where it is stopped."""
        if self._process is not None and self.is_running:
            self.resume()
            self._process.send_signal(self._end)
            self._process.wait(PATIENCE_S)
        self._process = None

    def pause(self) -> None:
        """Let it hang: connections are accepted by the kernel, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause; nothing where there is none."""
        os.kill(self.pid, signal.SIGCONT)

    def recover(self) -> None:
        """Let it run again, whatever a test did to it."""
        if self.is_running:
            self.resume()
        self.start()

    _end = signal.SIGKILL

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _as_user(self) -> dict[str, object]:
        return {}


class RedisServer(Server):
    """Redis that keeps nothing on disk: a restart is an empty one."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.unix_socket}?db=0"

    def flush(self) -> None:
        """Forget everything, its settings (maxmemory) too."""
        self._ask(b"CONFIG SET maxmemory 0\r\nFLUSHALL\r\nSCRIPT FLUSH\r\n")

    def _command(self) -> list[str]:
        listening = ["--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.unix_socket)]
        return [
            binary("redis-server"),
            *listening,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self.folder),
        ]

    def _answers(self) -> bool:
        try:
            return self._ask(b"PING\r\n").startswith(b"+PONG")
        except OSError:
            return False

    def _ask(self, commands: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(commands + b"QUIT\r\n")
            return b"".join(iter(lambda: connection.recv(4096), b""))


class PostgreSQLServer(Server):
    """PostgreSQL with fsync on, its superuser ``postgres`` without a password, loopback only.

    ``stop`` is `pg_ctl stop -m immediate`: no checkpoint, what was committed is recovered at the start.
    """

    _end = signal.SIGQUIT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._n_databases = 0
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")  # initdb refuses to work as root
        initdb = [binary("initdb"), "--pgdata", str(self._data), "--username", "postgres"]
        done = subprocess.run(
            [*initdb, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"],
            **self._as_user(),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(done.stderr, pytrace=False)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def empty_database(self) -> str:
        """The URL of a database that is emptied by this; quicker than a new one."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.url()

    def new_database(self) -> str:
        """Create an empty database; its URL."""
        self._n_databases += 1
        name = f"test_{self._n_databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as superuser, outside a transaction; its rows, if it has any."""
        import psycopg

        with psycopg.connect(self.url().replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "on",
            "synchronous_commit": "on",
            "recovery_init_sync_method": "syncfs",  # file by file takes seconds after a crash
            "shared_buffers": "16MB",
            "max_connections": 50,
        }
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [binary("postgres"), "-D", str(self._data), *given]

    def _answers(self) -> bool:
        asked = [binary("pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _as_user(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _running(server_class: type[Server]) -> Iterator[Server]:
    # Not pytest's own folder: another user may not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="audotics-test-"))
    try:
        server = server_class(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Server]:
    """One Redis of this test process."""
    yield from _running(RedisServer)


@pytest.fixture
def redis_server(redis_process: RedisServer) -> Iterator[RedisServer]:
    """A running, empty Redis; what the test does to it is mended afterwards."""
    redis_process.recover()
    redis_process.flush()
    yield redis_process
    redis_process.recover()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """One PostgreSQL of this test process."""
    yield from _running(PostgreSQLServer)


@pytest.fixture
def postgresql(postgresql_server: PostgreSQLServer) -> Iterator[str]:
    """The URL of an empty database; what the test does to the server is mended afterwards."""
    postgresql_server.recover()
    yield postgresql_server.empty_database()
    postgresql_server.recover()
