"""nginx over the shipped configuration, with the ports of a test in place of the shipped ones."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from contract.services import Server, binary

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"

_MAIN = """
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/audotics.conf;
}}
"""


class Nginx(Server):
    """nginx before servers on the loopback.

    Args:
        folder: Of its configuration and logs.
        ports: Of the servers.
    """

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        super().__init__(folder)
        text = SHIPPED.read_text(encoding="utf-8")
        shipped = re.findall(r"server (server-\d:8000) ", text)
        assert len(shipped) == len(ports), "as many servers as the shipped configuration names"
        for old, new in zip(shipped, ports, strict=True):
            text = text.replace(f"server {old} ", f"server 127.0.0.1:{new} ")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        (folder / "audotics.conf").write_text(text, encoding="utf-8")
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user), encoding="utf-8")

    def _command(self) -> list[str]:
        configuration = str(self.folder / "nginx.conf")
        return [binary("nginx"), "-p", str(self.folder), "-c", configuration, "-g", "daemon off;"]

    def stop(self) -> None:
        """End it with its worker, which a killed master would leave behind."""
        if self._process is not None and self.is_running:
            self._process.terminate()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
