"""What travels over HTTP, as models: they check what comes in and document what goes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from audotics.data.schema import CONTEXT_PREFIX, FEATURE_PREFIX, MAX_ID_BYTES
from audotics.domain import GroupStrategy, Mode
from audotics.serving.encoding import Rung, ServedFrom

MAX_K = 500
MAX_EVENTS = 1000
MAX_HISTORY = 1000


def _fits(text: str) -> str:
    if len(text.encode(errors="surrogatepass")) > MAX_ID_BYTES:
        raise ValueError(f"longer than {MAX_ID_BYTES} bytes")
    text.encode()  # lone surrogates are no text: UnicodeEncodeError is a ValueError
    if "\0" in text:
        raise ValueError("has a null character")
    return text


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_BYTES), AfterValidator(_fits)]
"""An id of a listener, a track, an artist: opaque text of at most 256 bytes."""

Short = Annotated[str, Field(max_length=64), AfterValidator(_fits)]
"""A device, a country, a session."""


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999 in UTC") from None


Moment = Annotated[datetime, AfterValidator(_utc)]
"""ISO 8601 or epoch seconds or milliseconds; without a zone it is UTC."""


class EventIn(BaseModel):
    """Something that a listener did. Further fields may be named ``context_...`` and hold text."""

    model_config = ConfigDict(frozen=True, extra="allow")

    user_id: Id
    track_id: Id
    event: Literal["play", "complete", "skip", "like", "dislike", "add_to_playlist"] = "play"
    timestamp: Moment | None = Field(None, description="When; without it, now.")
    event_id: Id | None = Field(
        None, description="Unique. An event sent again with the same id counts once; without an id it cannot."
    )
    ms_played: int | None = Field(None, ge=0, le=2**53)
    session_id: Id | None = None
    device: Short | None = None
    country: Short | None = None
    request_id: Short | None = Field(None, description="The recommendation that it follows from.")

    @model_validator(mode="after")
    def _extras_are_context(self) -> EventIn:
        for name, value in (self.model_extra or {}).items():
            if not name.startswith(CONTEXT_PREFIX):
                raise ValueError(f"there is no field {name[:64]!r}; further ones begin with {CONTEXT_PREFIX}")
            if not isinstance(value, str) or len(value) > MAX_ID_BYTES or len(name) > MAX_ID_BYTES:
                raise ValueError(f"{name[:64]} must be text of at most {MAX_ID_BYTES} characters")
        return self


class EventError(BaseModel):
    """Why one event of a request was not taken."""

    index: int
    field: str
    reason: str


class EventsAnswer(BaseModel):
    """What became of the events of a request. Those accepted are on the disk."""

    accepted: int
    duplicates: int
    rejected: int
    errors: list[EventError]


class BlockIn(_In):
    """What the listener does not want to hear: a track or an artist, for ever or until a time."""

    track_id: Id | None = None
    artist_id: Id | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _names_one(self) -> BlockIn:
        if (self.track_id is None) == (self.artist_id is None):
            raise ValueError("give either track_id or artist_id")
        return self


class RecommendationsIn(_In):
    """A wish: for one listener, an anonymous history, favourite artists, or a group."""

    user_id: Id | None = None
    history: tuple[Id, ...] | None = Field(None, max_length=MAX_HISTORY, description="Tracks, oldest first.")
    artists: tuple[Id, ...] = Field((), max_length=50, description="Favourite artists by id or name.")
    group: tuple[Id, ...] = Field((), max_length=50, description="2 to 50 listeners.")
    strategy: GroupStrategy = GroupStrategy.AVERAGE
    k: int = Field(10, ge=1, le=MAX_K)
    mode: Mode = Mode.DISCOVER
    device: Short | None = None
    country: Short | None = None
    exclude: tuple[Id, ...] = Field((), max_length=MAX_HISTORY)
    blocked: tuple[BlockIn, ...] = Field((), max_length=MAX_HISTORY)
    weights: dict[str, float] = Field(
        default_factory=dict, max_length=8, description="Of play, complete, like, skip."
    )
    surface: Short | None = Field(None, description="A named preset of weights.")
    familiarity: float | None = Field(None, ge=0, le=1, description="0 only unheard, 1 only heard tracks.")
    market: Short | None = None
    signed_up: Moment | None = Field(
        None, description="When the listener did, for experiments with new ones."
    )
    allow_explicit: bool = True
    rules: dict[str, Any] = Field(
        default_factory=dict, max_length=20, description="Rules that this slate changes."
    )
    explain: bool = True


class TrackOut(BaseModel):
    """A recommended track."""

    track_id: str
    rank: int = Field(description="1 is best.")
    score: float = Field(description="Higher is better, comparable inside this answer only.")
    source: str = Field(description="The retriever that argued most for it.")
    propensity: float = Field(
        description="Chance that the rules show it here; 1 without exploration. In an interleaved slate "
        "it is that given the tracks above."
    )
    reason: str | None = Field(None, description="Why, in one phrase.")
    team: str | None = Field(
        None, description="In an interleaved slate: the arm whose track it is, empty where it is of both."
    )


class RecommendationsAnswer(BaseModel):
    """A slate and how it came about."""

    request_id: str
    served_from: ServedFrom
    degraded: list[str] = Field(
        description="What was missing: overload, deadline, ranker, profile; mostly empty."
    )
    user_id: str | None
    model_version: str
    variant: str
    rung: Rung
    tracks: list[TrackOut]


class PlaylistIn(_In):
    """Tracks so far (and a title)."""

    tracks: tuple[Id, ...] = Field((), max_length=MAX_HISTORY)
    title: str | None = Field(None, max_length=MAX_ID_BYTES)
    k: int = Field(10, ge=1, le=MAX_K)
    explain: bool = True


class TrackIn(BaseModel):
    """A track of the catalogue; further fields may be named ``feature_...`` and hold numbers."""

    model_config = ConfigDict(frozen=True, extra="allow")

    title: Annotated[str, Field(max_length=1024)] | None = None
    artist_id: Id | None = None
    artist: Annotated[str, Field(max_length=1024)] | None = None
    album_id: Id | None = None
    album: Annotated[str, Field(max_length=1024)] | None = None
    duration_ms: int | None = Field(None, ge=0)
    released: str | None = Field(None, pattern=r"^\d{4}(-\d{2}-\d{2})?$", description="Date or year.")
    explicit: bool | None = None
    genres: tuple[Annotated[str, Field(max_length=256)], ...] = Field((), max_length=64)
    tags: tuple[Annotated[str, Field(max_length=256)], ...] = Field((), max_length=256)


def only_numbers(row: BaseModel) -> None:
    """Refuse further fields that are no features.

    Raises:
        ValueError: One has another name, or holds no number.
    """
    for name, value in (row.model_extra or {}).items():
        if not name.startswith(FEATURE_PREFIX):
            raise ValueError(f"there is no field {name[:64]!r}; further ones begin with {FEATURE_PREFIX}")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name[:64]} must be a number")


class ErasedAnswer(BaseModel):
    """What became of a listener's data."""

    user_id: str
    erased_events: int
    note: str


class HealthAnswer(BaseModel):
    """Whether the server lives, or is ready to serve."""

    status: Literal["ok", "degraded", "unavailable"]
    model_version: str | None = None
    trouble: list[str] = Field(default_factory=list)
