"""Answers as JSON bytes: the body is made once and cached, what differs by request stands before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from audotics.domain import Exposure, Query, Slate


class Rung(StrEnum):
    """How an answer was made: the steps of the ladder, best first."""

    PERSONALISED = "personalised"
    RETRIEVAL = "retrieval"
    """The ranker is out or late: the order is that of the retrievers' votes."""
    FAVOURITES = "favourites"
    """The listener's own favourites and more by the same artists."""
    POPULAR_COUNTRY = "popular_country"
    POPULAR = "popular"


class ServedFrom(StrEnum):
    """Where the body of an answer came from."""

    COMPUTED = "computed"
    CACHE = "cache"
    STALE = "stale"
    """From the cache, made before the listener's last event."""


def body(
    slate: Slate, rung: Rung, version: str, variant: str, *, explain: bool, teams: tuple[str, ...] = ()
) -> bytes:
    """The part of an answer that is the same whenever it is shown."""
    tracks: list[dict[str, Any]] = [
        {"track_id": track_id, "rank": rank, "score": score, "source": source, "propensity": propensity}
        for rank, (track_id, score, source, propensity) in enumerate(
            zip(
                slate.track_ids,
                slate.scores.tolist(),
                slate.sources,
                slate.propensities.tolist(),
                strict=True,
            ),
            start=1,
        )
    ]
    if explain:
        for track, reason in zip(tracks, slate.reasons, strict=True):
            track["reason"] = reason
    for track, team in zip(tracks, teams, strict=False):
        track["team"] = team
    return orjson.dumps(
        {
            "user_id": slate.user_id,
            "model_version": version,
            "variant": variant,
            "rung": rung,
            "tracks": tracks,
        }
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets.

    Args:
        payload: See `body`.
        request_id: Names the answer; feedback refers to it.
        origin: Where the payload came from.
        degraded: What was missing, empty where nothing was.
    """

    payload: bytes
    request_id: str
    origin: ServedFrom
    degraded: tuple[str, ...] = ()

    def json(self) -> bytes:
        """The whole answer."""
        degraded = orjson.dumps(self.degraded) if self.degraded else b"[]"
        head = b'{"request_id":"%b","served_from":"%b","degraded":%b,' % (
            self.request_id.encode(),
            self.origin.value.encode(),
            degraded,
        )
        return head + self.payload[1:]

    def exposure(self, at: datetime) -> Exposure:
        """What was shown, for the log."""
        return Exposure(request_id=self.request_id, at=at, **_shown(self.payload)[0])

    @property
    def rung(self) -> str:
        """How the payload was made."""
        return _shown(self.payload)[1]


@lru_cache(maxsize=2048)
def _shown(payload: bytes) -> tuple[dict[str, Any], str]:
    """What a body shows, and its rung. Cached bodies are shown again and again, and are read once."""
    said = orjson.loads(payload)
    tracks = said["tracks"]
    exposure = {
        "user_id": said["user_id"],
        "track_ids": tuple(track["track_id"] for track in tracks),
        "scores": np.array([track["score"] for track in tracks], np.float32),
        "propensities": np.array([track["propensity"] for track in tracks], np.float32),
        "model_version": said["model_version"],
        "variant": said["variant"],
        "teams": tuple(track["team"] for track in tracks if "team" in track),
    }
    return exposure, said["rung"]


def forget_bodies() -> None:
    """Drop what was read of bodies, as those of a listener who is erased must not stay in memory."""
    _shown.cache_clear()


def request_digest(query: Query, *, explain: bool) -> str:
    """What an answer depends on, beside listener, context, version and events."""
    asked = (
        query.history,
        query.k,
        query.mode.value,
        query.exclude,
        query.artists,
        query.group,
        query.strategy.value,
        sorted(query.weights.items()),
        query.surface,
        query.familiarity,
        query.blocked,
        query.market,
        query.allow_explicit,
        sorted(query.rules.items()),
        query.seed,
        explain,
    )
    return hashlib.blake2b(repr(asked).encode(errors="surrogatepass"), digest_size=12).hexdigest()


def context_bucket(query: Query, at: datetime) -> str:
    """Contexts that share an answer: device, country, and six hours of a weekday or of a weekend."""
    context = query.context
    weekend = "weekend" if at.weekday() >= 5 else "weekday"
    return f"{context.device or ''}|{context.country or ''}|{weekend}{at.hour // 6}"
