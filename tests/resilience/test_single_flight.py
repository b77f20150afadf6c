from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.resilience import SingleFlight
from contract.loops import in_loop


class Work:
    """A computation that ends when told, and counts how often it began."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.begun += 1
        mine = self.begun
        await self.may_end.wait()
        self.ended += 1
        if self.error is not None:
            raise self.error
        return f"result {mine}"


async def waiting(flights: SingleFlight[str], key: str, work: Work, n: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(flights.run(key, work)) for _ in range(n)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


@in_loop
async def test_all_who_ask_meanwhile_get_one_result() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    tasks = await waiting(flights, "key", work, 100)
    assert work.begun == 1
    assert "key" in flights
    assert len(flights) == 1
    work.may_end.set()
    assert set(await asyncio.gather(*tasks)) == {"result 1"}
    assert "key" not in flights
    assert len(flights) == 0
    assert await flights.run("key", work) == "result 2", "what is done is forgotten"


@in_loop
async def test_keys_do_not_wait_for_each_other() -> None:
    flights: SingleFlight[str] = SingleFlight()
    slow, quick = Work(), Work()
    tasks = await waiting(flights, "slow", slow, 1)
    quick.may_end.set()
    assert await flights.run("quick", quick) == "result 1"
    assert not tasks[0].done()
    slow.may_end.set()
    assert await tasks[0] == "result 1"


@in_loop
async def test_a_failure_is_everybodys_and_the_next_one_starts_anew() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    work.error = ValueError("broken")
    tasks = await waiting(flights, "key", work, 5)
    work.may_end.set()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(end) for end in ends] == ["broken"] * 5
    work.error = None
    assert await flights.run("key", work) == "result 2"


@in_loop
async def test_a_waiter_that_goes_leaves_the_computation_running() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    first, second = await waiting(flights, "key", work, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.may_end.set()
    assert await second == "result 1"
    assert work.begun == work.ended == 1


@in_loop
async def test_it_ends_even_when_all_waiters_have_gone() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    work.error = ValueError("nobody is left to hear this")
    tasks = await waiting(flights, "key", work, 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert "key" in flights
    work.may_end.set()
    await flights.landed()
    assert work.ended == 1
    assert len(flights) == 0
    gc.collect()  # The loop of the test complains of errors that nobody looked at.


@in_loop
async def test_a_wait_may_end_before_the_computation() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await flights.run("key", work)
    assert "key" in flights
    await flights.landed(timeout_s=0.01)
    assert "key" in flights
    work.may_end.set()
    assert await flights.run("key", work) == "result 1"


@in_loop
async def test_a_computation_that_fails_at_once_is_forgotten_too() -> None:
    flights: SingleFlight[str] = SingleFlight()

    async def broken() -> str:
        raise ValueError("before it began")

    for _ in range(3):
        with pytest.raises(ValueError, match="before it began"):
            await flights.run("key", broken)
        assert len(flights) == 0
    await flights.landed()


CALLS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans(), st.booleans()),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40)
@given(CALLS)
def test_any_interleaving_gives_each_caller_the_result_of_its_key(
    calls: list[tuple[str, int, bool, bool]],
) -> None:
    running: dict[str, int] = {}

    async def compute(key: str, steps: int, fails: bool) -> str:
        running[key] = running.get(key, 0) + 1
        assert running[key] == 1, "two computations of a key at once"
        for _ in range(steps):
            await asyncio.sleep(0)
        running[key] -= 1
        if fails:
            raise ValueError(key)
        return key

    async def scenario() -> None:
        flights: SingleFlight[str] = SingleFlight()
        tasks = []
        for key, steps, fails, goes in calls:
            task = asyncio.create_task(
                flights.run(key, lambda key=key, steps=steps, fails=fails: compute(key, steps, fails))
            )
            await asyncio.sleep(0)
            if goes:
                task.cancel()
            tasks.append(task)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await flights.landed()
        for (key, _, _, goes), end in zip(calls, ends, strict=True):
            assert end == key or (isinstance(end, ValueError) and end.args == (key,)) or goes
        assert len(flights) == 0

    asyncio.run(scenario())
    assert not any(running.values())
