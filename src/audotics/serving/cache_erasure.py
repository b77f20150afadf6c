"""Erasing listeners from a cache that others are reading and filling at the same time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

GRACE_S = 60.0
"""Longer than any computation takes that may have begun before the erasure."""
RETRY_S = 1.0

_log = logging.getLogger(__name__)


class Erasures:
    """Listeners being erased: meanwhile the cache neither reads nor keeps anything of theirs.

    An erasure begins with a deletion, tried again until the store confirms it. After a grace it
    is repeated and ends: by then no computation from before it, here or in another process, can still
    bring back an answer.

    Args:
        delete: Deletes a listener's entries from the store; whether the store confirmed it.
        grace_s: How long computations may take.
        retry_s: Between tries while the store does not answer.
    """

    def __init__(
        self, delete: Callable[[str], Awaitable[bool]], *, grace_s: float = GRACE_S, retry_s: float = RETRY_S
    ) -> None:
        self._delete = delete
        self._grace_s = grace_s
        self._retry_s = retry_s
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._under_way

    async def begin(self, user_id: str) -> bool:
        """Erase a listener; whether the store confirmed it at the first try.

        Where it did not, the tries go on until it does or the process ends; what is left then
        lives no longer than any entry does.
        """
        former = self._under_way.pop(user_id, None)
        if former is not None:
            former.cancel()
        first_try: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        erasure = asyncio.create_task(self._erase(user_id, first_try))
        erasure.add_done_callback(lambda _: _unconfirmed(first_try))
        self._under_way[user_id] = erasure
        confirmed = await asyncio.shield(first_try)
        if not confirmed:
            _log.warning("a listener's cached answers could not be deleted yet; it is tried again")
        return confirmed

    async def close(self) -> None:
        """Give up those under way."""
        tasks = tuple(self._under_way.values())
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _erase(self, user_id: str, first_try: asyncio.Future[bool]) -> None:
        confirmed = await self._delete(user_id)
        first_try.set_result(confirmed)
        if not confirmed:
            await self._insist(user_id)
        await asyncio.sleep(self._grace_s)
        if not await self._delete(user_id):
            await self._insist(user_id)
        del self._under_way[user_id]

    async def _insist(self, user_id: str) -> None:
        confirmed = False
        while not confirmed:
            await asyncio.sleep(self._retry_s)
            confirmed = await self._delete(user_id)


def _unconfirmed(first_try: asyncio.Future[bool]) -> None:
    """An erasure that ended before its first try did, as another one of the same listener began."""
    if not first_try.done():
        first_try.set_result(False)
