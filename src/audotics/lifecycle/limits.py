"""What a challenger and its data may be like: the settings of every gate and every data check."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audotics.errors import BadInputError
from audotics.training.config import GATES


class DataLimits(BaseModel):
    """What the data that came since the base may be like.

    Shares are of one day's events unless said otherwise. Where a limit is a factor, usual is what the
    base's last ``reference_days`` show.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    reference_days: int = Field(28, ge=1, description="Newest days of the base that say what is usual.")
    bot_factor: float = Field(
        3.0, ge=1, description="Times the busiest thousandth of listener-days that nobody plays in a day."
    )
    bot_least: int = Field(100, ge=1, description="Events a day below which nobody is taken for a bot.")
    bot_share: float = Field(
        0.01, ge=0, le=1, description="Events from implausibly busy listeners, at most; refuses."
    )
    copied_share: float = Field(
        0.02, ge=0, le=1, description="Events of listeners whose day others repeat track by track; refuses."
    )
    track_factor: float = Field(
        3.0, ge=1, description="Times its usual share that the most played track may have; refuses."
    )
    burst_s: float = Field(2.0, ge=0, description="Seconds in which the same event again is a repetition.")
    burst_share: float = Field(0.01, ge=0, le=1, description="Repetitions among new events; refuses.")
    unknown_share: float = Field(
        0.05, ge=0, le=1, description="New events whose track is in no catalogue; refuses."
    )
    future_share: float = Field(
        0.001, ge=0, le=1, description="New events dated after the data was gathered; refuses, warns below."
    )
    day_drop: float = Field(
        0.4,
        gt=0,
        le=1,
        description="Drop of a day against the same weekday that counts as truncated; refuses.",
    )
    gap_hours: int = Field(3, ge=1, le=24, description="Hours in a row that are looked at for gaps.")
    gap_share: float = Field(
        0.2, ge=0, lt=1, description="Part of the usual events below which such hours are a gap; refuses."
    )
    positive_factor: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Part of the usual share of plays below which the log is broken; refuses.",
    )
    null_warn: float = Field(0.05, ge=0, le=1, description="Growth of a column's share of nulls that warns.")
    null_refuse: float = Field(
        0.2, ge=0, le=1, description="Growth that refuses, in the catalogue's columns."
    )
    context_null_refuse: float = Field(
        0.5, ge=0, le=1, description="Growth that refuses in device, country and context columns."
    )
    magnitude_factor: float = Field(
        10.0, gt=1, description="Change of a column's size that refuses, up or down."
    )
    psi_warn: float = Field(0.25, gt=0, description="Population stability index of a column that warns.")
    psi_refuse: float = Field(1.0, gt=0, description="Population stability index that refuses.")


class GateLimits(BaseModel):
    """What a challenger may be like, against the champion and absolutely.

    The defaults suit a service with some 500 held-out listeners or more: with fewer the interval of the
    quality gate is wider than its margin, and equals are refused. Hold out more days, or widen it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    least_listeners: int = Field(50, ge=1, description="Held-out listeners without which nothing is judged.")
    quality_metric: str = Field("ndcg@20", description="Metric of the quality gate.")
    quality_margin: float = Field(
        0.10,
        ge=0,
        lt=1,
        description="Part of the champion's quality that the paired interval may reach below it.",
    )
    quality_drop: float = Field(
        0.03, ge=0, lt=1, description="Part of the champion's quality that the mean may lie below it."
    )
    least_quality: float = Field(0.0, ge=0, le=1, description="Quality that every challenger must reach.")
    coverage_factor: float = Field(
        0.7, ge=0, le=1, description="Part of the champion's catalogue coverage that must be left."
    )
    least_reach: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Coverage needed, as a part of what so many lists of that length could show at most.",
    )
    new_track_factor: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Part of the champion's share of places for new tracks that must be left.",
    )
    new_track_slack: float = Field(
        0.01, ge=0, le=1, description="Share of places by which it may fall in any case: small shares jump."
    )
    most_new_tracks: float = Field(0.4, ge=0, le=1, description="Share of places for new tracks, at most.")
    calibration_slack: float = Field(
        0.02, ge=0, description="Calibration error above the champion's, and above chance, let through."
    )
    most_calibration_error: float = Field(
        0.15, ge=0, le=1, description="Calibration error of a head, at most."
    )
    least_outcomes: int = Field(
        200, ge=1, description="Known outcomes of a head without which its calibration is not judged."
    )
    latency_factor: float = Field(1.5, ge=1, description="Times the champion's p99 of single requests.")
    latency_slack_ms: float = Field(5.0, ge=0, description="Milliseconds on top: small figures jump.")
    most_latency_ms: float = Field(100.0, gt=0, description="p99 of single requests in process, at most.")
    size_factor: float = Field(2.0, ge=1, description="Times the champion's size on disk.")
    size_slack_mib: float = Field(64.0, ge=0, description="MiB on top.")
    most_size_mib: float = Field(16384.0, gt=0, description="MiB on disk, at most.")
    skew_tolerance: float = Field(
        1e-3,
        ge=0,
        description="Difference of a score between both paths, in standard deviations of its list, at most.",
    )
    skew_swaps: float = Field(
        0.002, ge=0, le=1, description="Share of places where the paths' lists hold another track, at most."
    )
    most_lost: float = Field(
        0.2, ge=0, le=1, description="Share of the champion's listeners or tracks that may be missing."
    )
    data: DataLimits = Field(default_factory=DataLimits, description="Limits of the data checks.")


def read_limits(file: Path | None) -> GateLimits:
    """Limits from a TOML file: its table ``[gates]`` where it has one, else the whole file.

    Args:
        file: The settings of a training run, or limits alone; None takes the defaults.

    Raises:
        BadInputError: The file cannot be read, or a limit is unknown or out of bounds.
    """
    if file is None:
        return GateLimits()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"cannot be read as TOML ({error})", where=str(file)) from error
    try:
        return GateLimits.model_validate(values.get(GATES, values))
    except ValidationError as error:
        known = [*GateLimits.model_fields, *(f"data.{name}" for name in DataLimits.model_fields)]
        raise BadInputError.in_setting(error, f"{file}: {GATES}.", known) from error
