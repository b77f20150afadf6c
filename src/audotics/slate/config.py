"""The rules of a slate, declared once and checked when they are read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audotics.errors import BadInputError


class Withholding(BaseModel):
    """Tracks and artists that are kept out of slates, everywhere or by market, for ever or until a date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tracks: tuple[str, ...] = Field((), description="Track ids.")
    artists: tuple[str, ...] = Field((), description="Artists by id, or by name where there is no id.")
    markets: tuple[str, ...] = Field((), description="Markets where they are kept out; empty means all.")
    unless_in: tuple[str, ...] = Field(
        (), description="Markets where alone they may appear; a request of no known market is not one."
    )
    until: datetime | date | None = Field(
        None, description="Date or time (UTC) from which they may appear; none means never."
    )

    @model_validator(mode="after")
    def _says_what_and_where(self) -> Withholding:
        if not (self.tracks or self.artists):
            raise ValueError("names neither tracks nor artists")
        if self.markets and self.unless_in:
            raise ValueError("give markets or unless_in, not both")
        return self

    def holds(self, market: str | None, at: datetime) -> bool:
        """Whether this applies to a request of a market at a time (with a zone)."""
        if self.until is not None and at >= _instant(self.until, at):
            return False
        if self.unless_in:
            return market not in self.unless_in
        return not self.markets or market in self.markets


class SlateConfig(BaseModel):
    """Every rule and its knob. With the defaults a slate is the ranker's own order.

    The knobs ``diversity`` and ``calibration`` weigh against relevance, which is the ranker's score scaled
    over the slate's best ``5 k`` candidates to [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    artist_cap: int | None = Field(None, ge=1, description="Most tracks of one artist.")
    album_cap: int | None = Field(None, ge=1, description="Most tracks of one album.")
    one_recording: bool = Field(False, description="Show a recording once, even if several releases hold it.")
    allow_explicit: bool = Field(True, description="Whether tracks marked as explicit may appear.")
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much unlikeness to the tracks above counts (maximal marginal relevance).",
    )
    calibration: float = Field(
        0.0, ge=0, le=1, description="How much the slate's genres follow the listener's own mix."
    )
    explore: float = Field(
        0.0, ge=0, le=1, description="Chance that a place open to exploration holds a track drawn at random."
    )
    explore_places: tuple[int, ...] = Field(
        (5, 10), description="Places of the slate that are open to exploration, 1 is the first."
    )
    explore_pool: int = Field(
        50, ge=1, description="How many of the candidates next in rank exploration draws from."
    )
    order: Literal["score", "flow"] = Field(
        "score", description="flow orders the chosen tracks for smooth tempo, energy and key."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Fixes the draws of exploration, with the request.")
    withhold: tuple[Withholding, ...] = Field((), description="What must not appear, where and until when.")

    @model_validator(mode="after")
    def _has_places(self) -> SlateConfig:
        if any(place < 1 for place in self.explore_places):
            raise ValueError("explore_places start at 1")
        return self

    @cached_property
    def keeps_order(self) -> bool:
        """Whether the slate is the ranker's order over what may appear."""
        return (
            self.artist_cap is None
            and self.album_cap is None
            and not self.one_recording
            and self.diversity == self.calibration == self.explore == 0
            and self.order == "score"
        )

    @cached_property
    def withholds(self) -> bool:
        """Whether any track is kept out beforehand."""
        return not self.allow_explicit or bool(self.withhold)

    def changed(self, values: Mapping[str, Any]) -> SlateConfig:
        """The same rules with some settings changed.

        Raises:
            BadInputError: A setting is unknown or out of bounds.
        """
        if not values:
            return self
        return _validated({**self.model_dump(), **values})


def read_rules(file: Path) -> SlateConfig:
    """Rules from a TOML file with the fields of `SlateConfig`.

    Raises:
        BadInputError: The file cannot be read, or a setting is unknown or out of bounds.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"cannot be read as TOML ({error})", where=str(file)) from error
    return _validated(values, f"{file}: ")


def _validated(values: Mapping[str, Any], where: str = "") -> SlateConfig:
    try:
        return SlateConfig.model_validate(values)
    except ValidationError as error:
        raise BadInputError.in_setting(error, f"{where}rule ", SlateConfig.model_fields) from error


def _instant(until: datetime | date, at: datetime) -> datetime:
    """A date begins at midnight UTC; a time without a zone means UTC, as everywhere in the data."""
    moment = until if isinstance(until, datetime) else datetime.combine(until, time())
    return moment if moment.tzinfo else moment.replace(tzinfo=at.tzinfo)
