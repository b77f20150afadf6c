from __future__ import annotations

import asyncio
import time

import pytest

from audotics.serving.shedding import LoadShedder


def test_who_comes_late_in_a_round_is_refused():
    now = [10.0]
    shedder = LoadShedder(0.05, clock=lambda: now[0])
    assert not shedder.refuses()
    now[0] += 0.049
    assert not shedder.refuses()
    now[0] += 0.01
    assert shedder.refuses()
    shedder.beat()
    assert not shedder.refuses()


@pytest.mark.parametrize("new_loop", ["asyncio", "uvloop"])
def test_a_loop_with_too_much_to_do_refuses_the_rest(new_loop: str):
    run = pytest.importorskip("uvloop").run if new_loop == "uvloop" else asyncio.run

    async def busy() -> list[bool]:
        shedder = LoadShedder(0.05)
        shedder.watch()
        shedder.watch()

        async def request() -> bool:
            refused = shedder.refuses()
            if not refused:
                time.sleep(0.02)
            return refused

        await asyncio.sleep(0.02)
        first = await asyncio.gather(*(request() for _ in range(20)))
        await asyncio.sleep(0.02)
        return [*first, await request()]

    *first, later = run(busy())
    assert 2 <= first.count(False) <= 4
    assert first.index(True) == first.count(False), "those who came first are answered"
    assert not later


def test_a_pause_refuses_nobody_who_comes_after_it():
    async def paused() -> bool:
        shedder = LoadShedder(0.05)
        shedder.watch()
        time.sleep(0.2)
        await asyncio.sleep(0)
        await asyncio.sleep(0.006)
        return shedder.refuses()

    assert not asyncio.run(paused())
