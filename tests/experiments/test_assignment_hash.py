"""The hash that deals listeners out: published vectors, one by one and by the million alike."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.experiments.arms import N_BUCKETS
from audotics.experiments.hashing import bucket_of, buckets_of, listener_hashes, xxh64

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", "ef46db3751d8e999"),
        ("abc", "44bc2cf5ad770999"),
        # 39 bytes: the four lanes of the long form, then a rest of four and of single bytes.
        ("Nobody inspects the spammish repetition", "fbcea83c8a378bf1"),
    ],
)
def test_vectors_that_the_authors_of_xxhash_publish(text: str, digest: str) -> None:
    assert f"{xxh64(text.encode()):016x}" == digest
    assert f"{listener_hashes(pl.Series([text]))[0]:016x}" == digest


def test_vectors_of_our_page_hold() -> None:
    rows = re.findall(
        r"^\| `(.+?)` \| `([0-9a-f]{16})` \| (\d+) \| (\d+) \| (\d+) \|$", PAGE.read_text("utf-8"), re.M
    )
    assert len(rows) >= 4
    salts = ("experiment:ranker-2026", "layer:default", "holdout:holdout")
    for listener, digest, *buckets in rows:
        found = xxh64(listener.encode())
        assert f"{found:016x}" == digest
        assert [bucket_of(found, xxh64(salt.encode())) for salt in salts] == [int(one) for one in buckets]


@given(st.lists(texts, min_size=1, max_size=20), texts)
def test_many_at_once_get_what_each_gets_alone(listeners: list[str], salt: str) -> None:
    hashes = listener_hashes(pl.Series(listeners))
    assert hashes.tolist() == [xxh64(one.encode()) for one in listeners]
    salted = xxh64(salt.encode())
    assert buckets_of(hashes, salted).tolist() == [bucket_of(one, salted) for one in hashes.tolist()]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_every_bucket_is_one(listener: int, salt: int) -> None:
    assert 0 <= bucket_of(listener, salt) < N_BUCKETS


def test_more_listeners_than_are_hashed_in_one_step_keep_their_order() -> None:
    listeners = pl.Series([f"{number % 7}" * (number % 3 + 1) + f"-{number}" for number in range(70_000)])
    hashes = listener_hashes(listeners)
    for place in (0, 1, 32_767, 32_768, 40_001, 69_999):
        assert int(hashes[place]) == xxh64(listeners[place].encode())
    assert len(np.unique(hashes)) == len(listeners)


def test_no_listeners_have_no_hashes() -> None:
    assert listener_hashes(pl.Series([], dtype=pl.String)).tolist() == []
