"""A server that answers as a test says, over real sockets: status and headers in turn, then nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Scripted:
    """What it will say, and what it was asked."""

    url: str
    script: list[tuple[int | None, dict[str, str], Any]] = field(default_factory=list)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)

    def says(self, status: int | None, document: Any = None, **headers: str) -> Scripted:
        """Add an answer; without a status it hangs up."""
        self.script.append((status, headers, document))
        return self


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            server.asked.append((self.command, self.path, body))
            status, headers, document = server.script.pop(0)
            if status is None:
                self.close_connection = True
                return
            answer = json.dumps(document).encode() if not isinstance(document, bytes) else document
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Scripted(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        http.shutdown()
        thread.join()
