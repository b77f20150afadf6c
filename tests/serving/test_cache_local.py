from __future__ import annotations

import sys
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from audotics.serving.cache_entry import CacheKey, Entry
from audotics.serving.cache_local import LocalCache
from contract.clocks import Clock


def key(user: str, request: str = "") -> CacheKey:
    return CacheKey(user, "version", "a", "web", request)


def entry(payload: bytes = b"x", revision: int = 1, made_at: float = 0.0, life_s: float = 100.0) -> Entry:
    return Entry(payload, revision, made_at, made_at + life_s)


def size(payload: int) -> int:
    """Bytes counted for an entry of this payload under a key of `key("u")`'s length."""
    local = LocalCache(10**9, Clock())
    local.put(key("u"), entry(b"x" * payload))
    return local.bytes


def test_what_was_put_is_found_until_its_life_ends() -> None:
    clock = Clock()
    local = LocalCache(10**6, clock)
    local.put(key("u"), entry(life_s=100.0))
    assert local.get(key("v")) is None
    clock.now = 99.9
    assert local.get(key("u")) == entry()
    clock.now = 100.0
    assert local.get(key("u")) is None
    assert (len(local), local.bytes, local.evictions) == (0, 0, 0)


def test_the_least_recently_used_makes_room() -> None:
    local = LocalCache(3 * size(1000), Clock())
    for user in "abc":
        local.put(key(user), entry(b"x" * 1000))
    assert local.get(key("a")) is not None
    local.put(key("d"), entry(b"x" * 1000))
    assert [user for user in "abcd" if local.get(key(user)) is not None] == ["a", "c", "d"]
    assert local.evictions == 1


def test_an_older_revision_never_replaces_a_newer_one() -> None:
    local = LocalCache(10**6, Clock())
    local.put(key("u"), entry(b"new", revision=2, made_at=1.0))
    local.put(key("u"), entry(b"old", revision=1, made_at=5.0))
    assert local.get(key("u")) == entry(b"new", revision=2, made_at=1.0)
    local.put(key("u"), entry(b"same, earlier", revision=2, made_at=0.0))
    assert local.get(key("u")) == entry(b"new", revision=2, made_at=1.0)
    local.put(key("u"), entry(b"same, later", revision=2, made_at=2.0))
    assert local.get(key("u")) == entry(b"same, later", revision=2, made_at=2.0)
    assert len(local) == 1


def test_after_its_life_a_newer_revision_is_in_nobodys_way() -> None:
    clock = Clock()
    local = LocalCache(10**6, clock)
    local.put(key("u"), entry(revision=9, life_s=10.0))
    clock.now = 11.0
    local.put(key("u"), entry(revision=1, life_s=20.0))
    assert local.get(key("u")) == entry(revision=1, life_s=20.0)


def test_what_is_larger_than_the_cache_is_not_kept_and_pushes_nothing_out() -> None:
    local = LocalCache(2 * size(1000), Clock())
    local.put(key("u"), entry(b"x" * 1000))
    local.put(key("v"), entry(b"x" * 5000))
    assert local.get(key("v")) is None
    assert local.get(key("u")) is not None
    local.put(key("u"), entry(b"x" * 5000, revision=2))
    assert local.get(key("u")) is None, "the former answer of the slot is out of date"
    assert local.bytes == 0


def test_a_listener_is_forgotten_whole_and_alone() -> None:
    local = LocalCache(10**6, Clock())
    for user in ("u", "v"):
        for request in ("1", "2", "3"):
            local.put(key(user, request), entry())
    local.forget("u")
    local.forget("nobody")
    assert [local.get(key("u", request)) for request in ("1", "2", "3")] == [None] * 3
    assert all(local.get(key("v", request)) for request in ("1", "2", "3"))
    local.forget("v")
    assert (len(local), local.bytes) == (0, 0)
    assert not local._slots, "nothing is left of a listener's index"


def test_nothing_is_kept_without_room() -> None:
    local = LocalCache(0, Clock())
    local.put(key("u"), entry())
    assert local.get(key("u")) is None
    assert (len(local), local.bytes, local.evictions) == (0, 0, 0)


def test_the_bytes_counted_are_about_those_of_the_process() -> None:
    n = 3000
    tracemalloc.start()
    local = LocalCache(10**9, Clock())
    before = tracemalloc.get_traced_memory()[0]
    for number in range(n):
        digits = f"{number:06}"
        made = CacheKey(f"user-{digits}", f"version{digits}", f"v{digits}", f"web{digits}", f"k={digits}")
        local.put(made, entry(bytes(800)))
    real = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.85 < local.bytes / real < 1.3


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=2), st.binary(max_size=3000)), max_size=60))
def test_the_bound_holds_after_every_step(puts: list[tuple[str, bytes]]) -> None:
    local = LocalCache(8000, Clock())
    for user, payload in puts:
        local.put(key(user), entry(payload))
        assert local.bytes <= 8000


USERS = st.sampled_from("uvw")
REQUESTS = st.sampled_from("12")


class AgainstADictionary(RuleBasedStateMachine):
    """Every step against a plain list of (key, entry), the least recently used first."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.limit = 3 * size(1000)
        self.local = LocalCache(self.limit, self.clock)
        self.model: list[tuple[CacheKey, Entry]] = []

    def bytes_of(self, pairs: list[tuple[CacheKey, Entry]]) -> int:
        one = size(0) - sys.getsizeof(b"")
        return sum(one + sys.getsizeof(kept.payload) + len(slot.request) for slot, kept in pairs)

    def living(self, slot: CacheKey) -> Entry | None:
        """Of a slot; what has expired is dropped when it is looked at."""
        found = next((kept for at, kept in self.model if at == slot), None)
        if found is not None and found.expires_at <= self.clock():
            self.model = [pair for pair in self.model if pair[0] != slot]
            return None
        return found

    @rule(seconds=st.sampled_from([1.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(user=USERS, request=REQUESTS)
    def looks(self, user: str, request: str) -> None:
        slot = key(user, request)
        found = self.living(slot)
        assert self.local.get(slot) == found
        if found is not None:
            self.model = [pair for pair in self.model if pair[0] != slot] + [(slot, found)]

    @rule(
        user=USERS,
        request=REQUESTS,
        payload=st.sampled_from([0, 500, 1000, 2600, 9000]),
        revision=st.integers(1, 3),
    )
    def puts(self, user: str, request: str, payload: int, revision: int) -> None:
        slot = key(user, request)
        put = entry(b"x" * payload, revision, made_at=self.clock(), life_s=60.0)
        self.local.put(slot, put)
        present = self.living(slot)
        rest = [pair for pair in self.model if pair[0] != slot]
        if present is not None and present.revision > put.revision:
            self.model = [*rest, (slot, present)]
            return
        self.model = rest
        if self.bytes_of([(slot, put)]) > self.limit:
            return
        while self.bytes_of([*self.model, (slot, put)]) > self.limit:
            self.model.pop(0)
        self.model.append((slot, put))

    @rule(user=USERS)
    def forgets(self, user: str) -> None:
        self.local.forget(user)
        self.model = [pair for pair in self.model if pair[0].user_id != user]

    @invariant()
    def holds_the_same(self) -> None:
        assert len(self.local) == len(self.model)
        assert self.local.bytes == self.bytes_of(self.model) <= self.limit


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
