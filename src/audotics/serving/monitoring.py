"""Drift and online quality, looked at every few minutes by a process beside the server.

Reading a week of events takes seconds of computing, which must not stand between a listener and an answer:
a child process of low priority does it. Of several workers one has it done; all show the result.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from audotics.monitoring.report import MonitorReport
from audotics.registry.durable import try_lock
from audotics.serving.monitor_metrics import MonitorMetrics
from audotics.settings import Settings

FIRST_AFTER_S = 30.0
"""The first look does not compete with a server that starts."""

TIMEOUT_S = 600.0

_log = logging.getLogger("audotics.serving")


class MonitorJob:
    """Has a service looked at for as long as it runs.

    Args:
        settings: Deployment settings; ``monitor_every_s`` of 0 looks never.
        alias: Whose version is the reference.
        metrics: Shows what was found.
        shared: Folder in which the workers of one server share the result; None for a single process.
    """

    def __init__(self, settings: Settings, alias: str, metrics: MonitorMetrics, shared: Path | None) -> None:
        self._settings = settings
        self._alias = alias
        self._metrics = metrics
        self._shared = shared
        self._lock: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._child: asyncio.subprocess.Process | None = None

    def start(self) -> None:
        """Begin; call on the event loop."""
        if self._settings.monitor_every_s:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more; a look that is under way ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def look(self) -> None:
        """Have the service looked at once; what goes wrong is logged and counted."""
        try:
            report = MonitorReport.model_validate_json(await self._asked())
        except (OSError, TimeoutError, ChildProcessError, ValidationError) as error:
            _log.warning("monitoring failed: %s", error)
            self._metrics.failed()
            return
        self._metrics.found(report)
        for reason in report.reasons:
            _log.warning("monitoring: %s", reason)

    async def _run(self) -> None:
        every = self._settings.monitor_every_s
        await asyncio.sleep(min(FIRST_AFTER_S, every))
        while True:
            if self._is_mine():
                await self.look()
            await asyncio.sleep(every)

    def _is_mine(self) -> bool:
        """Whether this worker is the one that looks: the first to ask, until it ends."""
        if self._shared is None or self._lock is not None:
            return True
        with suppress(OSError):
            self._lock = try_lock(self._shared)
        return self._lock is not None

    async def _asked(self) -> bytes:
        """What the child prints.

        Raises:
            ChildProcessError: It failed; says why.
            TimeoutError: It took too long.
        """
        settings = self._settings
        # The URL may hold a password: the environment is not for everybody to see, a command line is.
        environment = {**os.environ, "AUDOTICS_DATABASE_URL": settings.database_url.get_secret_value()}
        self._child = child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "audotics.monitoring",
            str(settings.models),
            self._alias,
            str(settings.monitor_rows),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, said = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            raise ChildProcessError(lines[-1] if lines else f"exit code {child.returncode}")
        return out
