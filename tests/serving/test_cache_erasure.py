from __future__ import annotations

import asyncio

import pytest

from audotics.serving.cache_erasure import Erasures
from contract.loops import in_loop


class Store:
    """Confirms a deletion, or not, as the test says."""

    def __init__(self, *confirms: bool) -> None:
        self.deleted: list[str] = []
        self.confirms = list(confirms)

    async def delete(self, user_id: str) -> bool:
        self.deleted.append(user_id)
        await asyncio.sleep(0)
        return self.confirms.pop(0) if self.confirms else True


async def end_of(erasures: Erasures, user_id: str) -> None:
    async with asyncio.timeout(5):
        while user_id in erasures:
            await asyncio.sleep(0.002)


@in_loop
async def test_what_is_erased_is_deleted_twice_and_then_let_go() -> None:
    store = Store()
    erasures = Erasures(store.delete, grace_s=0.02)
    assert await erasures.begin("u")
    assert "u" in erasures
    assert "v" not in erasures
    assert store.deleted == ["u"]
    await end_of(erasures, "u")
    assert store.deleted == ["u", "u"]


@in_loop
async def test_it_is_tried_until_the_store_confirms(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(False, False, True, False, True)
    erasures = Erasures(store.delete, grace_s=0.01, retry_s=0.002)
    assert not await erasures.begin("jane@example.org")
    assert "could not be deleted yet" in caplog.text
    assert "jane" not in caplog.text
    await end_of(erasures, "jane@example.org")
    assert len(store.deleted) == 5


@in_loop
async def test_erasing_again_starts_the_grace_anew() -> None:
    store = Store()
    erasures = Erasures(store.delete, grace_s=0.05)
    await erasures.begin("u")
    await asyncio.sleep(0.03)
    await erasures.begin("u")
    await asyncio.sleep(0.03)
    assert "u" in erasures
    await end_of(erasures, "u")
    assert store.deleted == ["u", "u", "u"]


@in_loop
async def test_erasing_twice_at_once_answers_both() -> None:
    store = Store()
    erasures = Erasures(store.delete, grace_s=0.01)
    async with asyncio.timeout(5):
        first, second = await asyncio.gather(erasures.begin("u"), erasures.begin("u"))
    assert (first, second) == (False, True)
    await end_of(erasures, "u")


@in_loop
async def test_it_goes_on_without_the_one_who_asked() -> None:
    store = Store(False, True)
    erasures = Erasures(store.delete, grace_s=0.01, retry_s=0.001)
    asking = asyncio.create_task(erasures.begin("u"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await end_of(erasures, "u")
    assert store.deleted == ["u", "u", "u"]


@in_loop
async def test_closing_ends_what_is_under_way() -> None:
    store = Store(False)
    erasures = Erasures(store.delete, retry_s=60.0)
    await erasures.begin("u")
    await erasures.begin("v")
    async with asyncio.timeout(1):
        await erasures.close()
        await erasures.close()
    assert "u" not in erasures
    assert store.deleted == ["u", "v"]
