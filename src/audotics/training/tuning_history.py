"""The trials of tuning on disk: one line of JSON each, appended and flushed, so that a kill loses none.

{"format": "audotics-tuning-history", "schema_version": 1}
{"at": "2026-11-24T15:01:07Z", "basis": {...}, "retriever": "ials", "settings": {...}, "ndcg": ...}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from audotics.errors import BadInputError
from audotics.registry.durable import append_line, replace_text
from audotics.training.tuning import Trial, settings_key


class TuningBasis(BaseModel):
    """What the figures of trials rest on: those of one basis can be compared, and no others.

    Args:
        dataset: Fingerprint of the data.
        release: Of Audotics.
        holdout: How events were hidden.
        seed: Of the training run.
        hide_from: Most listeners that have something hidden.
        tune_listeners: Most listeners that judge a trial.
        include_heard: Whether heard tracks count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    release: str
    holdout: str
    seed: int
    hide_from: int
    tune_listeners: int
    include_heard: bool


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal["audotics-tuning-history"]
    schema_version: int


_HEADER = _Header(format="audotics-tuning-history", schema_version=1)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: datetime
    basis: TuningBasis
    retriever: str
    settings: dict[str, Any]
    ndcg: float
    lead: float
    standard_error: float
    seconds: float


class TuningHistory:
    """A file of trials that only grows.

    It may hold trials of several Datasets, splits and releases. A line that a crash cut short is left
    out when it is read, and stays in the file.

    Args:
        path: The file; created with the first trial.

    Raises:
        BadInputError: The file is no history, or one that a newer release wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[_Line] = []
        self.unreadable: list[int] = []
        """Numbers of the lines that are no trial, the first line being 1."""
        for number, text in _numbered_lines(path):
            if number == 1:
                _check_header(text, path)
                continue
            try:
                self._lines.append(_Line.model_validate_json(text))
            except ValidationError:
                self.unreadable.append(number)

    def trials(self, basis: TuningBasis) -> dict[str, list[Trial]]:
        """Those of one basis by retriever, in the order tried; of equal settings the first."""
        found: dict[str, dict[str, Trial]] = {}
        for line in self._lines:
            if line.basis == basis:
                trial = Trial(line.settings, line.ndcg, line.seconds, line.lead, line.standard_error)
                found.setdefault(line.retriever, {}).setdefault(settings_key(line.settings), trial)
        return {name: list(trials.values()) for name, trials in found.items()}

    def n_others(self, basis: TuningBasis) -> int:
        """How many trials rest on something else."""
        return sum(line.basis != basis for line in self._lines)

    def append(self, basis: TuningBasis, retriever: str, trial: Trial) -> None:
        """Add a trial; it is on the disk when this returns."""
        line = _Line(
            at=datetime.now(UTC).replace(microsecond=0),
            basis=basis,
            retriever=retriever,
            settings=trial.settings,
            ndcg=trial.ndcg,
            lead=trial.lead,
            standard_error=trial.standard_error,
            seconds=trial.seconds,
        )
        if not self.path.exists() or self.path.stat().st_size == 0:
            replace_text(self.path, _HEADER.model_dump_json() + "\n")
        append_line(self.path, line.model_dump_json())
        self._lines.append(line)


def _numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    yield from enumerate(content.splitlines(), start=1)


def _check_header(text: bytes, path: Path) -> None:
    elsewhere = "Name another file with --history"
    try:
        header = _Header.model_validate_json(text)
    except ValidationError as error:
        raise BadInputError("this is no tuning history", where=str(path), remedy=elsewhere) from error
    if header != _HEADER:
        raise BadInputError(
            f"this tuning history has schema {header.schema_version}, this release reads "
            f"{_HEADER.schema_version}",
            where=str(path),
            remedy=elsewhere,
        )
