from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from audotics.errors import BadInputError, MissingExtraError, OverloadedError
from audotics.resilience import Admission
from audotics.serving import CacheKey, CacheManager, Origin
from audotics.serving.cache_erasure import Erasures
from contract.clocks import Clock
from contract.loops import in_loop

KEY = CacheKey("user-1", "20261123T101500Z-3f2a", "a", "web|DE|18", "k=20")
DAY_S = 86_400


class Computing:
    """A computation that says what it made and how often, and waits where the test wants it to."""

    def __init__(self) -> None:
        self.times = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.error: Exception | None = None

    async def __call__(self) -> bytes:
        self.times += 1
        mine = self.times
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return b"answer %d" % mine


async def begun(*coroutines: object) -> list[asyncio.Task[tuple[bytes, Origin]]]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]  # type: ignore[call-overload]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


@in_loop
async def test_an_answer_is_found_until_an_event_or_the_day_ends_it() -> None:
    clock = Clock(1e9)
    cache = CacheManager(clock=clock)
    assert await cache.look(KEY, 1) is None
    await cache.store(KEY, 1, b"one")
    found = await cache.look(KEY, 1)
    assert found is not None
    assert (found.payload, found.revision, found.fresh, found.made_at) == (b"one", 1, True, 1e9)
    assert cache.look_local(KEY, 1) == found
    stale = await cache.look(KEY, 2)
    assert stale == replace(found, fresh=False)
    assert cache.look_local(KEY, 2) == stale
    clock.advance(DAY_S)
    assert await cache.look(KEY, 1) is None
    assert cache.look_local(KEY, 1) is None


@in_loop
async def test_lives_are_spread_over_the_last_tenth_of_the_day() -> None:
    clock = Clock()
    cache = CacheManager(clock=clock)
    keys = [replace(KEY, user_id=f"user-{number}") for number in range(400)]
    for key in keys:
        await cache.store(key, 1, b"x")
    alive = []
    for share in (0.899, 0.925, 0.95, 0.975, 1.0):
        clock.now = share * DAY_S
        alive.append(sum(cache.look_local(key, 1) is not None for key in keys))
    assert alive[0] == 400
    assert alive[4] == 0
    assert all(abs(n - expected) < 50 for n, expected in zip(alive[1:4], (300, 200, 100), strict=True))


@in_loop
async def test_an_older_revision_never_replaces_a_newer_one() -> None:
    cache = CacheManager()
    await cache.store(KEY, 2, b"two")
    await cache.store(KEY, 1, b"one")
    found = await cache.look(KEY, 2)
    assert found is not None
    assert found.payload == b"two"
    assert await cache.look(KEY, 1) is None, "what is newer than asked for is not shown"


@in_loop
async def test_slots_differ_by_every_part_of_the_key() -> None:
    cache = CacheManager()
    await cache.store(KEY, 1, b"mine")
    for part in ("user_id", "model_version", "variant", "context", "request"):
        assert await cache.look(replace(KEY, **{part: "another"}), 1) is None


@in_loop
async def test_each_lookup_is_counted_once() -> None:
    cache = CacheManager(max_bytes=3000)
    compute = Computing()
    assert await cache.answer(KEY, 1, compute, stale_ok=False) == (b"answer 1", Origin.COMPUTED)
    assert await cache.answer(KEY, 1, compute, stale_ok=False) == (b"answer 1", Origin.CACHED)
    await cache.look(KEY, 2)
    cache.look_local(KEY, 1)
    cache.look_local(KEY, 2)
    cache.look_local(replace(KEY, user_id="nobody"), 2)
    counted = cache.statistics
    assert (counted.hits_local, counted.hits_redis, counted.stale, counted.misses) == (2, 0, 1, 1)
    assert (counted.errors, counted.garbage, counted.entries, counted.evictions) == (0, 0, 1, 0)
    assert counted.hit_ratio == 0.5
    assert 500 < counted.bytes < 1500
    await cache.store(replace(KEY, user_id="user-2"), 1, bytes(1900))
    assert (cache.statistics.entries, cache.statistics.evictions) == (1, 1)
    with pytest.raises(FrozenInstanceError):
        counted.misses = 0  # type: ignore[misc]
    assert CacheManager().statistics.hit_ratio == 0.0
    assert cache.breaker is None


@in_loop
async def test_of_a_hundred_equal_requests_one_computes() -> None:
    cache = CacheManager()
    compute = Computing()
    compute.may_end.clear()
    tasks = await begun(*(cache.answer(KEY, 1, compute, stale_ok=True) for _ in range(100)))
    compute.may_end.set()
    answers = await asyncio.gather(*tasks)
    assert compute.times == 1
    assert {payload for payload, _ in answers} == {b"answer 1"}
    assert [origin for _, origin in answers] == [Origin.COMPUTED] + [Origin.SHARED] * 99
    assert await cache.answer(KEY, 1, compute, stale_ok=True) == (b"answer 1", Origin.CACHED)


@in_loop
async def test_while_one_computes_the_others_take_the_stale_answer_if_they_may() -> None:
    cache = CacheManager()
    compute = Computing()
    await cache.store(KEY, 1, b"old")
    compute.may_end.clear()
    (first,) = await begun(cache.answer(KEY, 2, compute, stale_ok=True))
    assert not first.done(), "the first one computes"
    assert await cache.answer(KEY, 2, compute, stale_ok=True) == (b"old", Origin.STALE)
    (waits,) = await begun(cache.answer(KEY, 2, compute, stale_ok=False))
    compute.may_end.set()
    assert await first == (b"answer 1", Origin.COMPUTED)
    assert await waits == (b"answer 1", Origin.SHARED)
    assert await cache.answer(KEY, 2, compute, stale_ok=False) == (b"answer 1", Origin.CACHED)


@in_loop
async def test_revisions_do_not_share_a_computation() -> None:
    cache = CacheManager()
    compute = Computing()
    compute.may_end.clear()
    tasks = await begun(
        cache.answer(KEY, 2, compute, stale_ok=False), cache.answer(KEY, 1, compute, stale_ok=False)
    )
    compute.may_end.set()
    assert await asyncio.gather(*tasks) == [(b"answer 1", Origin.COMPUTED), (b"answer 2", Origin.COMPUTED)]
    found = await cache.look(KEY, 2)
    assert found is not None
    assert found.payload == b"answer 1", "the older one came later and was not kept"


@in_loop
async def test_no_place_to_compute_gives_the_stale_answer_where_there_is_one() -> None:
    cache = CacheManager()
    admission = Admission(1)
    admission.enter()

    async def compute() -> bytes:
        with admission:
            return b"new"

    with pytest.raises(OverloadedError):
        await cache.answer(KEY, 2, compute, stale_ok=True)
    await cache.store(KEY, 1, b"old")
    assert await cache.answer(KEY, 2, compute, stale_ok=True) == (b"old", Origin.STALE)
    with pytest.raises(OverloadedError):
        await cache.answer(KEY, 2, compute, stale_ok=False)
    admission.leave()
    assert await cache.answer(KEY, 2, compute, stale_ok=True) == (b"new", Origin.COMPUTED)


@in_loop
async def test_a_bug_in_the_computation_is_not_hidden_behind_a_stale_answer() -> None:
    cache = CacheManager()
    compute = Computing()
    compute.error = ZeroDivisionError()
    await cache.store(KEY, 1, b"old")
    with pytest.raises(ZeroDivisionError):
        await cache.answer(KEY, 2, compute, stale_ok=True)
    compute.error = None
    assert await cache.answer(KEY, 2, compute, stale_ok=True) == (b"answer 2", Origin.COMPUTED)


@in_loop
async def test_a_client_that_goes_leaves_its_answer_behind() -> None:
    cache = CacheManager()
    compute = Computing()
    compute.may_end.clear()
    (gone,) = await begun(cache.answer(KEY, 1, compute, stale_ok=False))
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    (late,) = await begun(cache.answer(KEY, 1, compute, stale_ok=False))
    compute.may_end.set()
    assert await late == (b"answer 1", Origin.SHARED)
    assert await cache.answer(KEY, 1, compute, stale_ok=False) == (b"answer 1", Origin.CACHED)


@in_loop
async def test_a_forgotten_listener_leaves_nothing_and_gets_nothing_from_before() -> None:
    cache = CacheManager()
    other = replace(KEY, user_id="user-2")
    for key in (KEY, replace(KEY, request="k=50"), other):
        await cache.store(key, 5, b"before")
    compute = Computing()
    compute.may_end.clear()
    (under_way,) = await begun(cache.answer(KEY, 6, compute, stale_ok=False))
    assert await cache.forget(KEY.user_id)
    assert cache.statistics.entries == 1
    assert cache.look_local(other, 5) is not None
    (after,) = await begun(cache.answer(KEY, 6, compute, stale_ok=True))
    compute.may_end.set()
    assert await under_way == (b"answer 1", Origin.COMPUTED)
    assert await after == (b"answer 2", Origin.COMPUTED), "not that of the computation from before"
    await cache.store(KEY, 6, b"late")
    assert await cache.look(KEY, 6) is None, "what was computed meanwhile is not kept"
    assert cache.statistics.entries == 1
    await cache.close()


@in_loop
async def test_after_the_grace_a_listener_who_returns_is_cached_again() -> None:
    cache = CacheManager()
    cache._erasures = Erasures(cache._delete, grace_s=0.01)
    await cache.store(KEY, 50, b"before")
    await cache.forget(KEY.user_id)
    await asyncio.sleep(0.05)
    await cache.store(KEY, 0, b"after")
    found = await cache.look(KEY, 0)
    assert found is not None
    assert (found.payload, found.fresh) == (b"after", True)


@in_loop
async def test_memory_stays_within_its_bound() -> None:
    cache = CacheManager(max_bytes=200_000)
    for number in range(500):
        await cache.store(replace(KEY, user_id=f"user-{number}"), 1, bytes(4600))
        assert cache.statistics.bytes <= 200_000
    counted = cache.statistics
    assert counted.entries + counted.evictions == 500
    assert counted.entries >= 30


@in_loop
async def test_it_can_be_closed_twice_and_still_knows_what_it_held() -> None:
    cache = CacheManager()
    await cache.store(KEY, 1, b"one")
    await cache.close()
    await cache.close()
    assert await cache.look(KEY, 1) is not None


@pytest.mark.parametrize("bounds", [{"ttl_s": 0}, {"max_bytes": -1}, {"timeout_s": 0}, {"ttl_s": -5}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match=r"cache: ttl_s > 0, .* are needed, not"):
        CacheManager(**bounds)  # type: ignore[arg-type]


def test_redis_is_imported_for_an_address_only() -> None:
    script = (
        "import sys; sys.modules['redis'] = None\n"
        "from audotics import CacheManager\n"
        "from audotics.errors import MissingExtraError\n"
        "CacheManager()\n"
        "try: CacheManager(redis_url='redis://127.0.0.1')\n"
        "except MissingExtraError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(MissingExtraError("the cache in Redis", "redis"))
