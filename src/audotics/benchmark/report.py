"""BenchmarkReport: quality, cost and conditions of all systems, as frozen values that save and load."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from audotics.benchmark.machine import Machine
from audotics.errors import BadInputError
from audotics.evaluation.report import EvaluationReport


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Conditions(_Frozen):
    """What was the same for every system.

    Args:
        trials: Most settings that each peer tried.
        seconds: Time box of each peer's tuning.
        timeout_s: A process that took longer was ended.
        threads: Threads of each library.
        seed: Seed of everything random.
    """

    trials: int
    seconds: float
    timeout_s: float
    threads: int
    seed: int


class SystemCost(_Frozen):
    """What one system took.

    Args:
        name: The system, as in the evaluation.
        library: Name and version of its library; empty for what needs none.
        settings: Those that it was fitted with.
        n_trials: Settings tried; 0 where there is nothing to tune, or where training tunes itself.
        validation_ndcg: NDCG@20 of the chosen settings on the validation part.
        tune_s: Seconds of the search; None where training tunes itself.
        fit_s: Seconds of the final fit (ours: the whole training).
        recommend_s: Seconds of making the lists of all training listeners.
        listeners_per_s: The same as a rate.
        peak_memory_mib: Highest resident memory of its processes.
        note: What else a reader should know.
    """

    name: str
    library: str
    settings: dict[str, Any]
    n_trials: int
    validation_ndcg: float | None
    tune_s: float | None
    fit_s: float
    recommend_s: float
    listeners_per_s: float
    peak_memory_mib: float
    note: str


class BenchmarkReport(_Frozen):
    """Everything a benchmark found.

    Args:
        created_at: When, UTC.
        split: How the test was made.
        validation: How the part was made that peers were tuned on.
        n_listeners: Listeners of the training part, for whom lists were made.
        list_length: Length of those lists.
        conditions: The same for everybody.
        machine: Hardware and versions.
        evaluation: Quality, the reference first and then by NDCG, and the reference compared with each.
        costs: One entry per system, in the order of the evaluation.
        failed: System -> why it has no figures.
        left_out: Peer -> why it did not run.
    """

    created_at: datetime
    split: str
    validation: str
    n_listeners: int
    list_length: int
    conditions: Conditions
    machine: Machine
    evaluation: EvaluationReport
    costs: tuple[SystemCost, ...]
    failed: dict[str, str] = {}
    left_out: dict[str, str] = {}

    def to_json(self, path: Path) -> None:
        """Write everything as JSON, readable by `from_json`."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, path: Path) -> BenchmarkReport:
        """Read what `to_json` wrote.

        Raises:
            BadInputError: The file is no such report.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise BadInputError(
                "this is no benchmark report",
                where=str(path),
                remedy="Write one with `audotics benchmark --json`",
            ) from error
