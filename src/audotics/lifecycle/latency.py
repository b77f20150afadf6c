"""Latency of single requests in process, for two versions side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from audotics.domain import Mode, Query
from audotics.recommender.recommender import Recommender

N_REQUESTS = 200
_REPETITIONS = 3
_LENGTH = 20


class Latency(BaseModel):
    """Milliseconds of single requests, without HTTP.

    Args:
        p50_ms: Half of the requests take less.
        p99_ms: One in a hundred takes more.
        n: Requests measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50_ms: float
    p99_ms: float
    n: int


def measure_latency(
    recommenders: Mapping[str, Recommender], user_ids: Sequence[str], n: int = N_REQUESTS
) -> dict[str, Latency]:
    """Time the same requests of all, turn by turn.

    Each request is timed three times and its shortest time counts: what neighbours on the machine cost is
    no property of a version, and turns let slow minutes hit all alike.

    Args:
        recommenders: By name.
        user_ids: Whom to ask for; the first ``n``, the first of them once more before, to warm up.
        n: Requests.
    """
    asked = list(user_ids[:n])
    best = {name: np.full(len(asked), np.inf) for name in recommenders}
    for recommender in recommenders.values():
        recommender.recommend([_query(user_id) for user_id in asked[:1]])
    for place, user_id in enumerate(asked):
        queries = [_query(user_id)]
        for _ in range(_REPETITIONS):
            for name, recommender in recommenders.items():
                started = time.perf_counter()
                recommender.recommend(queries)
                best[name][place] = min(best[name][place], time.perf_counter() - started)
    return {name: _summary(seconds) for name, seconds in best.items()}


def _query(user_id: str) -> Query:
    return Query(user_id=user_id, k=_LENGTH, mode=Mode.DISCOVER)


def _summary(seconds: np.ndarray) -> Latency:
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1e3
    return Latency(p50_ms=float(p50), p99_ms=float(p99), n=len(seconds))
