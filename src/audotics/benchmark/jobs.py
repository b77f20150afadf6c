"""What parent and child processes tell each other: small JSON files and plain arrays in a folder.

corpus/train/       histories of all training listeners      written by the parent
corpus/visible/     the same without what validation asks
corpus/answers/     what validation asks
<system>/job.json   what a child is to do
<system>/trials.json, outcome.json, lists.npy                 written by the child
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from audotics.data.interactions import Interactions
from audotics.domain import IndexArray
from audotics.evaluation.holdout import Holdout

JOB, TRIALS, OUTCOME, LISTS = "job.json", "trials.json", "outcome.json", "lists.npy"
TRAIN, VISIBLE, ANSWERS = "train", "visible", "answers"


class _Frozen(BaseModel):
    # An endless time box is a setting like any other.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TuneJob(_Frozen):
    """Search the settings of a peer on the visible part; see `tuning.search`."""

    kind: Literal["tune"] = "tune"
    peer: str
    corpus: Path
    trials: int
    seconds: float
    include_heard: bool
    threads: int
    seed: int


class FitJob(_Frozen):
    """Fit a peer on all of training and ask it for a list for everybody."""

    kind: Literal["fit"] = "fit"
    peer: str
    corpus: Path
    settings: dict[str, Any]
    k: int
    include_heard: bool
    threads: int
    seed: int


class StoredVersion(_Frozen):
    """Where a trained version is: the folder of all versions, and an id or alias."""

    models: Path
    version: str


class OwnJob(_Frozen):
    """Train ours, or load a version, and ask it for a list for everybody.

    Args:
        dataset: What to train on, or what the version was trained on.
        settings: Of `TrainConfig`, where it is trained here.
        version: The version to take; None trains one.
        listeners: Parquet of ``user_id``, everybody asked, in the order of the lists.
        n_timed: How many of them, from the first on, are training's: asking those is timed.
        tracks: Parquet of ``track_id``, in the order that numbers them in the lists.
        k: Length of the lists.
        include_heard: Whether heard tracks may be in them.
    """

    kind: Literal["own"] = "own"
    dataset: Path
    settings: dict[str, Any]
    version: StoredVersion | None
    listeners: Path
    n_timed: int
    tracks: Path
    k: int
    include_heard: bool


class Trial(_Frozen):
    """One set of settings tried: its NDCG@20 on the validation part and what it took."""

    settings: dict[str, Any]
    ndcg: float
    seconds: float


class Trials(_Frozen):
    """All trials so far, rewritten after each one, so that a time-out leaves what was found."""

    trials: tuple[Trial, ...]
    peak_memory_mib: float

    @property
    def best(self) -> Trial:
        """The trial with the highest NDCG, the earliest of equals."""
        return max(self.trials, key=lambda trial: trial.ndcg)


class Outcome(_Frozen):
    """What fitting and asking took.

    Args:
        fit_s: Seconds of learning (ours: everything that training does, its own tuning included).
        recommend_s: Seconds of making the lists of all training listeners.
        peak_memory_mib: Highest resident memory of the process.
        note: What a reader of the figures should know.
    """

    fit_s: float
    recommend_s: float
    peak_memory_mib: float
    note: str = ""


class JobFile(_Frozen):
    """The content of ``job.json``."""

    job: TuneJob | FitJob | OwnJob


def save_histories(folder: Path, histories: Interactions) -> None:
    """Write histories as arrays that `load_histories` reads."""
    folder.mkdir(parents=True)
    _save(folder, "indptr", histories.indptr)
    _save(folder, "track_index", histories.track_index)
    _save(folder, "plays", histories.plays)
    _save(folder, "last_at", histories.last_at)
    _save(folder, "shape", np.array([histories.n_tracks, histories.ordered]))


def load_histories(folder: Path) -> Interactions:
    """Read what `save_histories` wrote."""
    n_tracks, ordered = _load(folder, "shape").tolist()
    return Interactions(
        _load(folder, "indptr"),
        _load(folder, "track_index"),
        _load(folder, "plays"),
        _load(folder, "last_at"),
        n_tracks,
        bool(ordered),
    )


def save_answers(folder: Path, user_index: IndexArray, answers: Holdout) -> None:
    """Write whom validation asks ``[n_listeners]`` and their hidden tracks."""
    folder.mkdir(parents=True)
    _save(folder, "user_index", user_index)
    _save(folder, "indptr", answers.indptr)
    _save(folder, "track_index", answers.track_index)


def load_answers(folder: Path, n_tracks: int) -> tuple[IndexArray, Holdout]:
    """Read what `save_answers` wrote."""
    holdout = Holdout(_load(folder, "indptr"), _load(folder, "track_index"), n_tracks)
    return _load(folder, "user_index"), holdout


def _save(folder: Path, name: str, array: npt.NDArray[Any]) -> None:
    np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _load(folder: Path, name: str) -> Any:
    return np.load(folder / f"{name}.npy", allow_pickle=False)
