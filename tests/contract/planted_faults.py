"""Versions that passed every gate and are bad all the same: what one of them answers is spoilt on its way."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from audotics.domain import Query, Slate
from audotics.recommender.recommender import Recommender

Answer = Callable[[Recommender, Sequence[Query], object], list[Slate]]
Spoil = Callable[[Answer, Recommender, Sequence[Query], object], list[Slate]]

never = threading.Event()
"""What a version that hangs waits for; set it to let its threads go."""


def raises(answer: Answer, version: Recommender, queries: Sequence[Query], since: object) -> list[Slate]:
    raise IndexError("planted")


def not_a_number(
    answer: Answer, version: Recommender, queries: Sequence[Query], since: object
) -> list[Slate]:
    slates = answer(version, queries, since)
    return [replace(slate, scores=np.full_like(slate.scores, np.nan)) for slate in slates]


def empty(answer: Answer, version: Recommender, queries: Sequence[Query], since: object) -> list[Slate]:
    return [_of(slate, []) for slate in answer(version, queries, since)]


def slow(answer: Answer, version: Recommender, queries: Sequence[Query], since: object) -> list[Slate]:
    slates = answer(version, queries, since)
    time.sleep(0.06)
    return slates


def hangs(answer: Answer, version: Recommender, queries: Sequence[Query], since: object) -> list[Slate]:
    never.wait(60)
    return answer(version, queries, since)


def rubbish(answer: Answer, version: Recommender, queries: Sequence[Query], since: object) -> list[Slate]:
    """Well-formed, in time, and drawn from the catalogue."""
    seeds = [zlib.crc32(f"{query.user_id} {query.k}".encode()) for query in queries]
    drawn = [
        np.random.default_rng(seed).permutation(len(version.tracks))[: query.k].tolist()
        for seed, query in zip(seeds, queries, strict=True)
    ]
    return [_of(slate, drawn[place], version) for place, slate in enumerate(answer(version, queries, since))]


def same_for_all(
    answer: Answer, version: Recommender, queries: Sequence[Query], since: object
) -> list[Slate]:
    """What is most popular, to everybody: nothing that a look at one answer would tell."""
    popular = np.argsort(-version.catalogue.listeners, kind="stable").tolist()
    slates = answer(version, queries, since)
    return [_of(slate, popular[: query.k], version) for slate, query in zip(slates, queries, strict=True)]


FAULTS: dict[str, Spoil] = {
    "raises": raises,
    "not_a_number": not_a_number,
    "empty": empty,
    "slow": slow,
    "hangs": hangs,
    "rubbish": rubbish,
    "same_for_all": same_for_all,
}


def planted(fault: str, version: str) -> Answer:
    """In place of `Recommender.recommend`: this version answers by the fault once it serves, all others well.

    The answers with which it is tried before it serves come from other threads and are sound, as those that
    the gates saw were.
    """
    answer, spoil = Recommender.recommend, FAULTS[fault]

    def recommend(self: Recommender, queries: Sequence[Query], since: object = None) -> list[Slate]:
        serving = threading.current_thread().name.startswith("compute")
        if self.model_version == version and serving:
            return spoil(answer, self, queries, since)
        return answer(self, queries, since)

    return recommend


def _of(slate: Slate, tracks: Sequence[int], version: Recommender | None = None) -> Slate:
    ids = () if version is None else tuple(version.tracks.ids[track] for track in tracks)
    n = len(ids)
    return Slate(
        user_id=slate.user_id,
        track_ids=ids,
        scores=np.linspace(1, 0, n, dtype=np.float32),
        sources=("ials",) * n,
        reasons=("you may like it",) * n,
        propensities=np.ones(n, np.float32),
    )
