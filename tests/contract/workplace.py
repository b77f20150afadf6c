"""What tests of the command line share: quick settings, an outcome, a dataset with a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

QUICK = (
    *("--set", 'retrievers=["item-knn", "rp3beta", "popularity"]'),
    *("--set", 'rankers=["single", "mean", "linear"]'),
    *("--set", "tune_trials=1"),
)
"""Settings with which training takes a second."""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Audotics = Callable[..., Outcome]


@dataclass(frozen=True)
class Workplace:
    """A dataset and a folder with one version trained on it, both made by commands."""

    dataset: Path
    models: Path
    test: Path
    train_output: str

    @property
    def version(self) -> str:
        return (self.models / "aliases" / "champion").read_text().strip()
