"""Champion and challengers side by side: which version and rules a request gets, and its label."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from audotics.errors import AudoticsError
from audotics.experiments.arms import INTERLEAVED, variant_label
from audotics.experiments.assignment import Asker, Assignment
from audotics.experiments.definition import Experiment
from audotics.experiments.store import ExperimentStore, Snapshot
from audotics.experiments.tables import prepare_experiments
from audotics.resilience import Lookout
from audotics.serving.following import ModelFollower
from audotics.serving.served import Runtimes, Served
from audotics.serving.variant_metrics import VariantMetrics
from audotics.serving.ways import Rival, Way, changed
from audotics.slate.config import SlateConfig

POLL_S = 0.5
"""How often the database is asked whether an experiment changed."""

RETRY_S = 30.0
"""A version that could not be loaded is tried again after so long."""

_log = logging.getLogger("audotics.serving")


@dataclass(frozen=True, slots=True)
class _Running:
    """What requests read: replaced as a whole."""

    assignment: Assignment = field(default_factory=Assignment)
    held: Mapping[str, Served] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    targets_new: bool = False


class Variants:
    """Follows the experiments of the database and holds the versions that they name.

    An experiment takes part in this process while every version that it names is loaded. Until then, or where
    one of them does not load, all of its listeners are answered as the control, without a label: so what is
    missing is missing from each arm alike, and no arm is diluted with answers of another.

    Args:
        engine: Of the journal's database.
        models: The version that serves.
        load: Makes a version ready to answer.
        overlay: Lays what was added since over a version, see `ModelFollower`.
        registry: Of the worker's metrics.

    Attributes:
        snapshot: The experiments as they were when the database last answered.
        failures: Why versions do not load, by version.
        database_trouble: Why the snapshot may be old; empty where it is not.
    """

    def __init__(
        self,
        engine: Engine,
        models: ModelFollower,
        load: Callable[[str], Served],
        overlay: Callable[[Served], Served],
        registry: CollectorRegistry,
    ) -> None:
        self.store = ExperimentStore(engine, "server")
        self.metrics = VariantMetrics(registry)
        self._engine, self._models = engine, models
        self._load, self._overlay = load, overlay
        self.snapshot = Snapshot()
        self.failures: dict[str, str] = {}
        self.database_trouble = ""
        self._retry_at: dict[str, float] = {}
        self._is_prepared = False
        self._running = _Running()
        self._following = threading.Lock()
        self._lookout = Lookout("experiments", self.follow, POLL_S)

    def start(self) -> None:
        """Begin to follow."""
        self._lookout.start()

    def stop(self) -> None:
        """Follow no more; what runs goes on as it is."""
        self._lookout.stop()

    def wake(self) -> None:
        """Look at once."""
        self._lookout.wake()

    @property
    def alarms(self) -> list[str]:
        """What is wrong, one line each."""
        failed = [f"version {version} of an experiment: {why}" for version, why in self.failures.items()]
        return [*failed, self.database_trouble] if self.database_trouble else failed

    @property
    def targets_new(self) -> bool:
        """Whether any experiment asks how long listeners have been known."""
        return self._running.targets_new

    @property
    def waiting(self) -> frozenset[str]:
        """Experiments that run but do not take part here, as a version of theirs is not loaded."""
        return self._running.waiting

    def way(self, plain: Way, listener: str | None, first_seen: Callable[[], datetime | None]) -> Way:
        """How a request is answered: no call to anything outside this process.

        Args:
            plain: How it is answered outside experiments.
            listener: Who asks, if it is one listener by id.
            first_seen: See `Asker`.
        """
        running, query = self._running, plain.query
        if listener is None or query.history is not None or query.artists:
            return plain
        context = query.context
        assigned = running.assignment.of(Asker(listener, context.country, context.device, first_seen))
        if not assigned.arms:
            return replace(plain, variant=assigned.variant, in_holdout=assigned.in_holdout)
        return _in_arms(plain, running, assigned.arms, self.metrics)

    def answered(self, variant: str, served_from: str, degraded: bool, seconds: float) -> None:
        """Count and time an answer of an experiment."""
        self.metrics.answers.labels(variant, served_from, "yes" if degraded else "no").inc()
        self.metrics.seconds.labels(variant).observe(seconds)

    def forget(self, listener: str) -> None:
        """Take an erased listener out of the testers.

        Raises:
            UnavailableError: The database does not answer.
        """
        if any(listener in one.overrides for one in self.snapshot.experiments):
            self.store.forget(listener)
            self.wake()

    def follow(self) -> None:
        """Look at the database once, and hold what the experiments need; never raises."""
        with self._following:
            try:
                if not self._is_prepared:
                    prepare_experiments(self._engine)
                    self._is_prepared = True
                if self.store.revision() != self.snapshot.revision:
                    self.snapshot = self.store.snapshot()
                    _log.info("experiments at revision %d", self.snapshot.revision)
                self.database_trouble = ""
            except AudoticsError as error:
                self.database_trouble = f"experiments go on as they were: {error}"
            self._hold()

    def _hold(self) -> None:
        """Load what is wanted, let go of what is not, and publish the result in one step."""
        assignment = self.snapshot.assignment()
        wanted = {arm.model for one in assignment.experiments for arm in one.arms if arm.model}
        held = {version: served for version in wanted if (served := self._held(version)) is not None}
        missing = wanted - held.keys()
        self.failures = {version: why for version, why in self.failures.items() if version in missing}
        waiting = frozenset(
            one.name for one in assignment.experiments if any(arm.model in missing for arm in one.arms)
        )
        targets_new = any(one.targeting.new_since for one in assignment.experiments)
        self._running = _Running(assignment, held, waiting, targets_new)

    def _held(self, version: str) -> Served | None:
        current = self._models.current
        if current.version == version:
            return current
        held = self._running.held.get(version)
        if held is not None:
            return self._overlay(held)
        if time.monotonic() < self._retry_at.get(version, 0.0):
            return None
        try:
            loaded = self._overlay(self._load(version))
        except Exception as error:
            # Whatever is wrong with it, the others go on.
            self._retry_at[version] = time.monotonic() + RETRY_S
            self.failures[version] = str(error)
            self.metrics.not_loaded.inc()
            _log.error("version %s of an experiment does not load: %s", version, error)
            return None
        _log.info("version %s is ready for experiments", version)
        return loaded


def loader(models_dir: Path, rules: SlateConfig, runtimes: Runtimes) -> Callable[[str], Served]:
    """What loads a version and makes what its first answer makes.

    Args:
        models_dir: Folder of versions.
        rules: Rules of every slate.
        runtimes: What scores with the deep rankers of a version.
    """

    def load(version: str) -> Served:
        served = Served.load(models_dir, version, rules, runtimes)
        served.answer_first()
        return served

    return load


def _in_arms(
    plain: Way, running: _Running, arms: tuple[tuple[Experiment, str], ...], metrics: VariantMetrics
) -> Way:
    """The way with what the arms of a listener change."""
    served, query, labels = plain.served, plain.query, []
    mixed: Experiment | None = None
    for experiment, name in arms:
        if experiment.name in running.waiting:
            metrics.unready.labels(experiment.name).inc()
            served, query = changed(served, query, experiment.control_arm, running.held)
            continue
        labels.append((experiment.name, name))
        if name == INTERLEAVED:
            mixed = experiment
        else:
            served, query = changed(served, query, experiment.arm(name), running.held)
    rival = None
    if mixed is not None:
        control, (treatment,) = mixed.control_arm, mixed.treatments
        rival = Rival(*changed(served, query, treatment, running.held), (control.name, treatment.name))
        served, query = changed(served, query, control, running.held)
    return Way(served, query, variant_label(labels), rival)
