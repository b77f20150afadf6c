"""Settings of training: everything that decides what a trained version is."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from audotics.errors import BadInputError
from audotics.ranking.config import ModelConfig
from audotics.ranking.names import ranker_class
from audotics.retrieval.names import new_retriever, retriever_class
from audotics.training.splitting import SplitName

GATES = "gates"
"""Table of a settings file that is not training's: `audotics.lifecycle.limits` reads it."""

RANKERS = ("single", "mean", "logistic", "linear", "boosted", "deep", "blend")


class TrainConfig(BaseModel):
    """Settings of one training run; they stand in the version's manifest.

    The defaults are meant for every data set: what suits the data is found by validation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0, lt=2**31, description="Seed of everything random in this run.")
    split: SplitName = Field(
        "auto", description="How events are hidden for choosing and judging; auto looks at the data."
    )
    hide_from: int = Field(
        5000, ge=10, description="Most listeners whose hidden events teach, choose and judge."
    )
    include_heard: bool = Field(
        False, description="Whether tracks the listener has heard may be recommended, and are trained for."
    )
    retrievers: tuple[str, ...] = Field(
        (), description="Names of the retrievers to use; empty takes all that suit the data."
    )
    settings: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Fixed settings by retriever name; those named here are not tuned."
    )
    tune_trials: int = Field(12, ge=0, description="Settings tried for each retriever; 0 takes the defaults.")
    tune_seconds: float = Field(
        150.0,
        ge=0,
        description="Longest time spent on tuning all retrievers. It ends by the clock: for the same "
        "model on any machine set it to inf and let tune_trials be the limit.",
    )
    tune_listeners: int = Field(1500, ge=1, description="Most listeners whose held-out tracks judge a trial.")
    per_retriever: int = Field(200, ge=1, description="Candidates that each retriever proposes for a query.")
    rankers: tuple[str, ...] = Field(
        RANKERS,
        min_length=1,
        description="Rankers that compete on the validation listeners; the best serves.",
    )
    deep: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the deep ranker (ModelConfig)."
    )

    @field_validator("retrievers", "rankers")
    @classmethod
    def _are_known(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            if info.field_name == "retrievers":
                retriever_class(name)
            else:
                ranker_class(name)
        return names

    @field_validator("settings")
    @classmethod
    def _can_be_set(cls, settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, values in settings.items():
            new_retriever(name, values)
        return settings

    @field_validator("deep")
    @classmethod
    def _is_a_deep_setting(cls, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            ModelConfig.model_validate(settings)
        except ValidationError as error:
            raise BadInputError.in_setting(error, "deep.", ModelConfig.model_fields) from error
        return settings


def read_config(file: Path | None, assignments: Sequence[str]) -> TrainConfig:
    """Settings from a TOML file and ``key=value`` assignments, which win.

    Args:
        file: TOML with the fields of `TrainConfig`, and perhaps the limits of the gates beside them.
        assignments: ``key=value`` with the value as in TOML; a dotted key reaches into a table
            (``settings.ials.rank=64``), a bare word is taken as text.

    Raises:
        BadInputError: The file cannot be read, or a setting is unknown or out of bounds.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadInputError(f"cannot be read as TOML ({error})", where=str(file)) from error
    values.pop(GATES, None)
    for assignment in assignments:
        _assign(values, assignment)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise BadInputError.in_setting(error, "setting ", TrainConfig.model_fields) from error


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise BadInputError(f"{assignment!r} is no assignment", where="--set", remedy="Write key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, last = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise BadInputError(f"{table!r} is no table of settings", where=f"--set {assignment}")
    values[last] = value
