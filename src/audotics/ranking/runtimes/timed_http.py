"""HTTP of the standard library with one deadline for the whole of a request.

A time-out of a socket starts anew with every piece that arrives, so an answer that comes in drops may
take forever. Here every wait gets only what is left.
"""

from __future__ import annotations

import io
import socket
from http.client import HTTPConnection, HTTPResponse
from typing import Any, TypeAlias

from typing_extensions import Buffer

from audotics.resilience import Deadline

Place: TypeAlias = tuple[socket.AddressFamily, Any]
"""Family and address of a socket."""


def look_up(host: str, port: int) -> Place:
    """The first place that a name stands for; may take as long as the name server does.

    Raises:
        OSError: The name is not known.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, address


class TimedConnection(HTTPConnection):
    """A connection whose waits all end at ``deadline``; set it before each request.

    Args:
        host: Name or address, for the header.
        port: Port.
        place: Where that is, as ``socket.getaddrinfo`` says: looking it up here could take any time.
    """

    deadline: Deadline

    def __init__(self, host: str, port: int, place: Place) -> None:
        super().__init__(host, port)
        self._place = place
        self.response_class = self._response  # type: ignore[assignment]

    def connect(self) -> None:
        """Open the connection.

        Raises:
            OSError: It is refused, or not open in time.
        """
        family, address = self._place
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(_left(self.deadline))
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: Any) -> None:
        """Send, opening the connection first where it is not."""
        if self.sock is not None:
            self.sock.settimeout(_left(self.deadline))
        super().send(data)

    def _response(self, sock: socket.socket, *args: Any, **options: Any) -> HTTPResponse:
        return HTTPResponse(_TimedSocket(sock, self.deadline), *args, **options)  # type: ignore[arg-type]


class _TimedSocket:
    """What an HTTPResponse asks a socket for."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._stream = _TimedStream(sock, deadline)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._stream)


class _TimedStream(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _left(deadline: Deadline) -> float:
    """Seconds left, for a socket.

    Raises:
        TimeoutError: None are.
    """
    left = deadline.remaining()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
