from __future__ import annotations

import struct
from dataclasses import astuple, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audotics.serving.cache_entry import CacheKey, Entry, field_name, hash_name, pack, scope_of, unpack

NOW = 1_800_000_000.0
KEY = CacheKey("user-1", "20261123T101500Z-3f2a", "b", "mobile|DE|18", "k=20")
SCOPE = scope_of(KEY)
ENTRY = Entry(b'{"tracks":[]}', 7, NOW - 60, NOW + 60)

# Half surrogate pairs, too: an id from JSON may hold one.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
KEYS = st.builds(CacheKey, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
ENTRIES = st.builds(
    Entry,
    st.binary(max_size=200),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(0, NOW),
    st.floats(0, 2 * NOW),
)


@given(KEYS, ENTRIES)
def test_what_was_packed_is_unpacked(key: CacheKey, entry: Entry) -> None:
    assert unpack(pack(entry, scope_of(key)), scope_of(key), NOW) == entry


@given(KEYS, KEYS, ENTRIES)
def test_an_entry_of_another_slot_is_none_of_this(mine: CacheKey, other: CacheKey, entry: Entry) -> None:
    assume(mine != other)
    assert unpack(pack(entry, scope_of(other)), scope_of(mine), NOW) is None
    assert field_name(scope_of(mine)) != field_name(scope_of(other))


@pytest.mark.parametrize("part", ["user_id", "model_version", "variant", "context", "request"])
def test_every_part_of_the_key_is_covered(part: str) -> None:
    assert unpack(pack(ENTRY, SCOPE), scope_of(replace(KEY, **{part: "another"})), NOW) is None


def test_parts_do_not_run_into_each_other() -> None:
    assert scope_of(CacheKey("ab", "c", "", "", "")) != scope_of(CacheKey("a", "bc", "", "", ""))


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    value = bytearray(pack(ENTRY, SCOPE))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    assert unpack(bytes(value), SCOPE, NOW) is None


@given(st.data())
def test_what_is_cut_short_or_prolonged_is_noticed(data: st.DataObject) -> None:
    value = pack(ENTRY, SCOPE)
    assert unpack(value[: data.draw(st.integers(0, len(value) - 1))], SCOPE, NOW) is None
    assert unpack(value + data.draw(st.binary(min_size=1, max_size=9)), SCOPE, NOW) is None


@given(st.binary(max_size=300))
def test_any_other_bytes_are_noticed(value: bytes) -> None:
    assert unpack(value, SCOPE, NOW) is None


def test_an_entry_from_the_future_is_refused_beyond_what_clocks_differ() -> None:
    ahead = replace(ENTRY, made_at=NOW + 59)
    assert unpack(pack(ahead, SCOPE), SCOPE, NOW) == ahead
    assert unpack(pack(replace(ENTRY, made_at=NOW + 61), SCOPE), SCOPE, NOW) is None
    assert unpack(pack(replace(ENTRY, made_at=float("nan")), SCOPE), SCOPE, NOW) is None


def test_a_revision_beyond_64_bits_cannot_be_packed() -> None:
    with pytest.raises(struct.error):
        pack(replace(ENTRY, revision=2**63), SCOPE)


def test_names_in_redis_do_not_show_the_listener() -> None:
    name = hash_name("audotics", "jane@example.org")
    assert name.startswith("audotics:")
    assert len(name) == len("audotics:") + 32
    assert "jane" not in name
    assert name != hash_name("audotics", "john@example.org")
    assert name != hash_name("other", "jane@example.org")
    assert len(field_name(SCOPE)) == 16


@pytest.mark.parametrize(
    ("asked", "seen"), [(7, (ENTRY.payload, 7, True, NOW - 60)), (9, (ENTRY.payload, 7, False, NOW - 60))]
)
def test_the_revision_asked_for_tells_fresh_from_stale(asked: int, seen: tuple[object, ...]) -> None:
    found = ENTRY.seen_from(asked)
    assert found is not None
    assert astuple(found) == seen


def test_an_answer_to_a_newer_revision_is_not_shown() -> None:
    assert ENTRY.seen_from(6) is None
    assert ENTRY.seen_from(0) is None
