"""An experiment as it is written down: who takes part, what each arm changes, what is measured."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from audotics.errors import BadInputError
from audotics.experiments.arms import (
    INTERLEAVED,
    N_BUCKETS,
    Arm,
    Interval,
    Moment,
    Name,
    Share,
    Targeting,
    Written,
)


class Kind(StrEnum):
    """How an experiment compares."""

    AB = "ab"
    """Each listener gets one arm."""
    INTERLEAVING = "interleaving"
    """Each slate mixes the tracks of both arms (team draft)."""
    BANDIT = "bandit"
    """Arms explore with logged propensities, for off-policy estimates."""


class State(StrEnum):
    """Where an experiment stands in its life; it never goes back."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"


class MetricName(StrEnum):
    """What can be measured of a listener in an experiment."""

    COMPLETION = "completion"
    SKIP = "skip"
    LIKE = "like"
    LISTENING_MINUTES = "listening_minutes"
    RETURN_NEXT_DAY = "return_next_day"
    DIVERSITY = "diversity"


class Role(StrEnum):
    """What a metric decides."""

    PRIMARY = "primary"
    """Whether the experiment has won."""
    SECONDARY = "secondary"
    """Nothing; it explains."""
    GUARDRAIL = "guardrail"
    """Whether the experiment is stopped."""


class Metric(Written):
    """Something measured, and what it decides."""

    name: MetricName
    role: Role = Role.SECONDARY
    margin: float = Field(
        0.0, ge=0, lt=1, description="Of a guardrail: the relative loss against control that is put up with."
    )


class Definition(Written):
    """What people write to have an experiment.

    A listener takes part where the slot of the listener in ``layer`` lies in ``slots`` and their bucket in
    this experiment belongs to an arm (`audotics.experiments.assignment`). Experiments of one
    layer have slots apart, so nobody is in two of them; experiments of different layers are independent.
    """

    name: Name
    description: str = Field("", max_length=2000)
    kind: Kind = Kind.AB
    arms: tuple[Arm, ...] = Field(min_length=1, max_length=20)
    control: Name | None = Field(
        None, description="The arm that the others are compared with; else the first."
    )
    salt: Name | None = Field(None, description="Of the hash that deals listeners out; else the name.")
    layer: Name = "default"
    slots: Interval = Field((0, N_BUCKETS), description="Its part of the layer, the end not included.")
    targeting: Targeting = Targeting()
    overrides: dict[str, Name] = Field(
        default_factory=dict,
        max_length=1000,
        description="Testers and the arm each gets whatever their bucket is; no analysis counts them.",
    )
    metrics: tuple[Metric, ...] = Field(
        (Metric(name=MetricName.COMPLETION, role=Role.PRIMARY),), min_length=1
    )
    window_hours: float = Field(
        24.0, gt=0, le=24 * 60, description="How long after an exposure an event belongs to it."
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="False alarms that are put up with.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two arms have the same name")
        if sum(arm.share for arm in self.arms) > N_BUCKETS:
            raise ValueError(f"the shares of the arms exceed {N_BUCKETS} hundredths of a percent")
        if self.control is not None and self.control not in names:
            raise ValueError(
                f"there is no arm {self.control!r} to be the control; arms are {', '.join(names)}"
            )
        if self.slots[0] >= self.slots[1]:
            raise ValueError("the part of the layer is empty")
        strangers = sorted(set(self.overrides.values()) - {*names, *self._further_arms})
        if strangers:
            raise ValueError(f"an override names the arm {strangers[0]!r}; arms are {', '.join(names)}")
        if len({metric.name for metric in self.metrics}) != len(self.metrics):
            raise ValueError("a metric is named twice")
        return self

    @model_validator(mode="after")
    def _suits_its_kind(self) -> Self:
        if self.kind is Kind.AB and len(self.arms) < 2:
            raise ValueError("an A/B test needs two arms at least")
        if self.kind is Kind.INTERLEAVING:
            if len(self.arms) != 2:
                raise ValueError("interleaving compares two arms")
            if any(arm.name == INTERLEAVED for arm in self.arms):
                raise ValueError(f"an arm of an interleaving experiment cannot be called {INTERLEAVED!r}")
            if any(arm.explores for arm in self.arms):
                raise ValueError("arms that are interleaved cannot explore: their draws would be credited")
        if self.kind is Kind.BANDIT and not any(arm.explores for arm in self.arms):
            raise ValueError("a bandit needs an arm whose rules explore (explore = 0.1, say)")
        return self

    @property
    def _further_arms(self) -> tuple[str, ...]:
        return (INTERLEAVED,) if self.kind is Kind.INTERLEAVING else ()

    @property
    def control_arm(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arm(self.control or self.arms[0].name)

    @property
    def treatments(self) -> tuple[Arm, ...]:
        """Every arm but the control."""
        control = self.control_arm.name
        return tuple(arm for arm in self.arms if arm.name != control)

    @property
    def hash_salt(self) -> str:
        """What is hashed with a listener's id for the bucket."""
        return self.salt or self.name

    def arm(self, name: str) -> Arm:
        """The arm of this name.

        Raises:
            BadInputError: There is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        known = ", ".join(arm.name for arm in self.arms)
        raise BadInputError(f"has no arm {name!r}", where=self.name, remedy=f"Arms are {known}")

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "experiment") -> Self:
        """Check what was written.

        Args:
            values: Fields by name.
            where: The file or request, for the message.

        Raises:
            BadInputError: A field is missing, unknown or out of bounds, or two contradict each other.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            raise BadInputError(
                first["msg"].removeprefix("Value error, "),
                where=f"{where}: {at}" if at else where,
                remedy=f"Fields are {known}" if first["type"] == "extra_forbidden" else "",
            ) from error

    @classmethod
    def read(cls, file: Path) -> Self:
        """A definition from a TOML file (JSON where its name ends so).

        Raises:
            BadInputError: It cannot be read, or is none.
        """
        read = json.loads if file.suffix == ".json" else tomllib.loads
        try:
            values = read(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInputError(f"cannot be read ({error})", where=str(file)) from error
        if not isinstance(values, dict):
            raise BadInputError("holds no fields", where=str(file))
        return cls.parse(values, str(file))


class ShareChange(Written):
    """From when the arms had which shares."""

    at: Moment
    shares: dict[str, Share]


class Experiment(Definition):
    """A definition and its life. Made and changed by `ExperimentStore` alone."""

    state: State = State.DRAFT
    created_at: Moment
    started_at: Moment | None = None
    stopped_at: Moment | None = None
    stop_reason: str = ""
    promoted: str | None = Field(None, description="The arm whose version became the champion.")
    buckets: dict[str, tuple[Interval, ...]] = Field(
        default_factory=dict, description="Those of each arm; every bucket belongs to at most one."
    )
    left: dict[str, tuple[Interval, ...]] = Field(
        default_factory=dict, description="Buckets that each arm gave up: only it may have them again."
    )
    changes: tuple[ShareChange, ...] = Field(
        (), description="Shares since the start, oldest first: what a sample ratio is judged by."
    )

    @property
    def running(self) -> bool:
        """Whether listeners are dealt out now."""
        return self.state is State.RUNNING
