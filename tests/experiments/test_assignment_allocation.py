"""Shares grow and shrink without moving anybody from arm to arm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.errors import RefusedError
from audotics.experiments.allocation import Buckets, with_shares
from audotics.experiments.arms import N_BUCKETS


def members(buckets: Buckets, arm: str) -> set[int]:
    return {one for first, end in buckets.get(arm, ()) for one in range(first, end)}


def test_arms_begin_side_by_side() -> None:
    had, left = with_shares({}, {}, {"a": 5000, "b": 100})
    assert had == {"a": ((0, 5000),), "b": ((5000, 5100),)}
    assert left == {"a": (), "b": ()}


def test_growing_adds_from_outside_only() -> None:
    had, left = with_shares({}, {}, {"a": 100, "b": 100})
    more, _ = with_shares(had, left, {"a": 5000, "b": 5000})
    for arm in "ab":
        assert members(had, arm) <= members(more, arm)
        assert len(members(more, arm)) == 5000
    assert not members(more, "a") & members(more, "b")


def test_what_an_arm_gives_up_only_it_gets_back() -> None:
    had, left = with_shares({}, {}, {"a": 6000, "b": 1000})
    less, left = with_shares(had, left, {"a": 2000})
    with pytest.raises(RefusedError, match="arm 'b' cannot grow to 5000: 1000 of its buckets"):
        with_shares(less, left, {"b": 5000})
    again, left = with_shares(less, left, {"a": 6000, "b": 4000})
    assert members(again, "a") == members(had, "a")
    assert members(again, "b") >= members(had, "b")


shares = st.lists(
    st.tuples(st.integers(0, N_BUCKETS // 2), st.integers(0, N_BUCKETS // 2)), min_size=1, max_size=6
)


@given(shares)
def test_nobody_is_ever_in_two_arms(history: list[tuple[int, int]]) -> None:
    had: Buckets = {}
    left: Buckets = {}
    ever: dict[str, set[int]] = {"a": set(), "b": set()}
    for a, b in history:
        try:
            had, left = with_shares(had, left, {"a": a, "b": b})
        except RefusedError:
            continue
        assert len(members(had, "a")) == a
        assert len(members(had, "b")) == b
        for arm in "ab":
            ever[arm] |= members(had, arm)
    assert not ever["a"] & ever["b"]


def test_intervals_are_as_few_as_can_be() -> None:
    had: Buckets = {}
    left: Buckets = {}
    for share in np.linspace(100, 5000, 8).astype(int).tolist():
        had, left = with_shares(had, left, {"a": share, "b": share})
    assert len(had["a"]) <= 8
