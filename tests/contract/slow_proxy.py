"""A proxy on a unix socket that lets bytes through late, to test against a slow server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self


class SlowProxy:
    """Passes bytes between its clients and a server, each way with a delay that a test sets.

    Args:
        listen: The socket it makes.
        server: The socket it passes everything on to.
        delay_s: Before each piece of an answer is passed on; may be changed while it runs.
    """

    def __init__(self, listen: Path, server: Path, delay_s: float = 0.0) -> None:
        self.listen = listen
        self.delay_s = delay_s
        self.n_connections = 0
        self._server_path = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._n_served = 0

    @property
    def url(self) -> str:
        return f"unix://{self.listen}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        while self._n_served:
            await asyncio.sleep(0.001)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        self._n_served += 1
        there, back = await asyncio.open_unix_connection(self._server_path)
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, back, late=False))
                both.create_task(self._pass(there, writer, late=True))
        except* OSError:
            pass  # One side has hung up.
        finally:
            writer.close()
            back.close()
            self._writers -= {writer, back}
            self._n_served -= 1

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, late: bool) -> None:
        while piece := await source.read(65_536):
            if late and self.delay_s:
                await asyncio.sleep(self.delay_s)
            sink.write(piece)
            await sink.drain()
        raise ConnectionResetError
