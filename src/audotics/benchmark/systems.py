"""One system's turn: its jobs in child processes, and from their results its lists and its cost."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from audotics.benchmark.jobs import (
    LISTS,
    OUTCOME,
    TRIALS,
    FitJob,
    JobFile,
    Outcome,
    OwnJob,
    StoredVersion,
    Trials,
    TuneJob,
)
from audotics.benchmark.names import PeerEntry
from audotics.benchmark.peers.popularity import Popularity
from audotics.benchmark.preparation import Material
from audotics.benchmark.processes import JobFailedError, run_job
from audotics.benchmark.protocol import Resources
from audotics.benchmark.report import Conditions, SystemCost
from audotics.domain import IndexArray
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.judging import HYBRID


@dataclass(frozen=True, slots=True)
class Ours:
    """How ours takes part.

    Args:
        config: Settings of training.
        version: A version to take in place of training.
    """

    config: TrainConfig
    version: StoredVersion | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A system that had its turn.

    Args:
        cost: What it took.
        lists: ``[n_asked, k]`` for everybody of `Material.listeners`.
    """

    cost: SystemCost
    lists: IndexArray


@dataclass(frozen=True, slots=True)
class _Tuned:
    trials: Trials
    note: str


class Turns:
    """Runs systems on the same material under the same conditions.

    Args:
        material: What `prepare` made.
        conditions: Budget, threads and seed.
        folder: Where the child processes may write; each gets a folder of its own.
        progress: Who is told.
    """

    def __init__(self, material: Material, conditions: Conditions, folder: Path, progress: Progress) -> None:
        self._material = material
        self._conditions = conditions
        self._folder = folder
        self._progress = progress

    def peer(self, entry: PeerEntry) -> Finished:
        """Tune a peer, fit it on all of training with the best settings, and ask it.

        Raises:
            JobFailedError: It crashed, was killed or took too long.
        """
        peer = entry.load()
        tuned = self._tune(entry.name) if peer.space else None
        settings = tuned.trials.best.settings if tuned else dict(peer.defaults)
        job = FitJob(
            peer=entry.name,
            corpus=self._material.folder,
            settings=settings,
            k=self._material.k,
            include_heard=self._material.include_heard,
            threads=self._conditions.threads,
            seed=self._conditions.seed,
        )
        with self._progress.stage(f"fit {entry.name} and recommend"):
            outcome, lists = self._lists(job, f"{entry.name}-fit")
        library = f"{entry.libraries[0]} {version(entry.libraries[0])}" if entry.libraries else ""
        cost = self._cost(entry.name, library, settings, outcome, tuned)
        return Finished(cost, self._completed(lists))

    def ours(self, ours: Ours) -> Finished:
        """Train ours, or load a version of it, and ask it.

        Raises:
            JobFailedError: It crashed, was killed or took too long.
        """
        material = self._material
        job = OwnJob(
            dataset=material.dataset.path.absolute(),
            settings=ours.config.model_dump(),
            version=ours.version,
            listeners=material.listeners,
            n_timed=material.corpus.n_users,
            tracks=material.tracks,
            k=material.k,
            include_heard=material.include_heard,
        )
        doing = "train" if ours.version is None else "load"
        with self._progress.stage(f"{doing} {HYBRID} and recommend"):
            outcome, lists = self._lists(job, HYBRID)
        settings = ours.config.model_dump(exclude_defaults=True)
        return Finished(self._cost(HYBRID, f"{HYBRID} {version(HYBRID)}", settings, outcome, None), lists)

    def _tune(self, name: str) -> _Tuned:
        """What the search found, also if it had to be ended after its first trial."""
        job = TuneJob(
            peer=name,
            corpus=self._material.folder,
            trials=self._conditions.trials,
            seconds=self._conditions.seconds,
            include_heard=self._material.include_heard,
            threads=self._conditions.threads,
            seed=self._conditions.seed,
        )
        folder, note = self._folder / f"{name}-tune", ""
        with self._progress.stage(f"tune {name}"):
            try:
                self._run(job, folder)
            except JobFailedError as error:
                if not (folder / TRIALS).exists():
                    raise
                note = f"tuning ended early: {error}"
        return _Tuned(Trials.model_validate_json((folder / TRIALS).read_text(encoding="utf-8")), note)

    def _lists(self, job: FitJob | OwnJob, folder_name: str) -> tuple[Outcome, IndexArray]:
        folder = self._folder / folder_name
        self._run(job, folder)
        outcome = Outcome.model_validate_json((folder / OUTCOME).read_text(encoding="utf-8"))
        return outcome, np.load(folder / LISTS, allow_pickle=False)

    def _run(self, job: TuneJob | FitJob | OwnJob, folder: Path) -> None:
        conditions = self._conditions
        run_job(JobFile(job=job), folder, threads=conditions.threads, timeout_s=conditions.timeout_s)

    def _cost(
        self, name: str, library: str, settings: dict[str, object], outcome: Outcome, tuned: _Tuned | None
    ) -> SystemCost:
        trials = tuned.trials if tuned else None
        return SystemCost(
            name=name,
            library=library,
            settings=settings,
            n_trials=len(trials.trials) if trials else 0,
            validation_ndcg=trials.best.ndcg if trials else None,
            tune_s=sum(trial.seconds for trial in trials.trials) if trials else None,
            fit_s=outcome.fit_s,
            recommend_s=outcome.recommend_s,
            listeners_per_s=self._material.corpus.n_users / max(outcome.recommend_s, 1e-9),
            peak_memory_mib=max(outcome.peak_memory_mib, trials.peak_memory_mib if trials else 0.0),
            note="; ".join(filter(None, (tuned.note if tuned else "", outcome.note))),
        )

    def _completed(self, lists: IndexArray) -> IndexArray:
        """A peer's lists, with the most popular tracks for those without a history: it cannot know them."""
        histories = self._material.corpus.interactions
        # One row more than there are listeners: an empty history.
        nobody = histories.rows(np.append(np.arange(histories.n_rows), -1))
        popularity = Popularity({}, Resources(threads=1, seed=0)).fit(nobody)
        popular = popularity.recommend(
            np.array([histories.n_rows], np.int32), lists.shape[1], include_heard=True
        )
        lists[histories.lengths == 0] = popular
        return np.concatenate([lists, np.repeat(popular, self._material.n_strangers, axis=0)])
