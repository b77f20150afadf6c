"""The arms of an experiment, whom it is for, and what answers are called that it made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from audotics.errors import BadInputError
from audotics.ranking.head_weights import SURFACES
from audotics.ranking.protocol import HEADS
from audotics.slate.config import SlateConfig

N_BUCKETS = 10_000
"""Buckets of an experiment and slots of a layer: shares are told in hundredths of a percent."""

INTERLEAVED = "interleaved"
"""The arm that answers of an interleaving experiment name: both rankers made them."""

HOLDOUT = "holdout"
"""The variant of listeners who are kept out of every experiment."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""Of an experiment, an arm, a layer: letters, digits, dots, underscores and hyphens."""

Share = Annotated[int, Field(ge=0, le=N_BUCKETS)]
"""Hundredths of a percent: 10,000 is everybody."""

Interval = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=N_BUCKETS)]]
"""Buckets from the first up to, not including, the second."""


def _in_utc(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time; without a zone it is UTC."""


class Written(BaseModel):
    """What people write down: unchangeable, and no field too many."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(Written):
    """A variant: how many get it, and what it changes. What is not named is as outside the experiment."""

    name: Name
    share: Share = Field(description="Hundredths of a percent of the experiment's listeners.")
    model: str | None = Field(
        None,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Version or alias that answers; without one the server's own.",
    )
    rules: dict[str, Any] = Field(default_factory=dict, description="Settings of the slate that it changes.")
    weights: dict[str, FiniteFloat] = Field(default_factory=dict, description="Of the ranker's heads.")
    surface: str | None = Field(None, description="A named preset of weights.")
    familiarity: float | None = Field(None, ge=0, le=1, description="0 only unheard, 1 only heard tracks.")

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> Self:
        try:
            SlateConfig().changed(self.rules)
        except BadInputError as error:
            raise ValueError(str(error)) from error
        unknown = sorted(set(self.weights) - set(HEADS))
        if unknown:
            raise ValueError(f"there is no head {unknown[0]!r}; heads are {', '.join(HEADS)}")
        if self.surface is not None and self.surface not in SURFACES:
            raise ValueError(f"there is no surface {self.surface!r}; known are {', '.join(SURFACES)}")
        return self

    @property
    def explores(self) -> bool:
        """Whether its slates hold tracks drawn by chance."""
        return SlateConfig().changed(self.rules).explore > 0


class Targeting(Written):
    """Which requests an experiment is for. Empty fields ask for nothing."""

    countries: tuple[str, ...] = Field((), description="Of the request.")
    devices: tuple[str, ...] = Field((), description="Of the request.")
    new_since: Moment | None = Field(
        None, description="Only listeners who signed up, or were first seen, at this time or later."
    )


def variant_label(arms: Iterable[tuple[str, str]]) -> str:
    """The variant of an answer: ``experiment:arm`` of each experiment that it is part of, by commas."""
    return ",".join(sorted(f"{experiment}:{arm}" for experiment, arm in arms))


def arms_of(variant: str) -> dict[str, str]:
    """The arm of each experiment in a `variant_label`; empty outside experiments and for the holdout."""
    pairs = (part.partition(":") for part in variant.split(",") if ":" in part)
    return {experiment: arm for experiment, _, arm in pairs}
