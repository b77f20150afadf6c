"""kill -9 while retraining, again and again, while somebody keeps loading and asking the champion."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from audotics.domain import Query
from audotics.journal.engine import open_engine
from audotics.lifecycle.limits import GateLimits
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from audotics.training.publishing import load_version
from contract.aging import LENIENT, post_days

FIRST_NEW_DAY, LAST_NEW_DAY = 16, 24

# Imports once, then forks a retraining per line read: a kill costs what the retraining did, not its imports.
NURSERY = """
import os, sys
from pathlib import Path
from audotics.errors import AudoticsError
from audotics.journal.engine import open_engine
from audotics.lifecycle.limits import GateLimits
from audotics.lifecycle.retraining import RetrainSettings
from audotics.lifecycle.runs import Installation
from audotics.telemetry import Progress
from audotics.training import pipeline
from audotics.retrieval import ials, item_knn, popularity

class Tells:
    def started(self, stage): print("at", stage.name, flush=True)
    def advanced(self, stage): pass
    def finished(self, stage, record): print("past", stage.name, flush=True)

models, base, url, life, limits = sys.argv[1:]
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        installation = Installation(Path(models), open_engine(url, timeout_s=10), lease_life_s=float(life),
            limits=GateLimits.model_validate_json(limits),
            new_progress=lambda checkpoint: Progress(Tells(), checkpoint))
        print("child", os.getpid(), flush=True)
        try:
            report = installation.retrain(RetrainSettings(data=Path(base)), wait_s=30)
            print("done", report.outcome, report.version, flush=True)
        except AudoticsError as error:
            print("error", error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@dataclass
class Kills:
    """What the kills did.

    Args:
        hit: How often each step was hit.
        ended: How each run that was not killed ended.
        gone_on_with: Challengers that a killed run had published and a later one judged.
        n_loads: How often the champion was loaded, verified and asked meanwhile.
        errors: What went wrong: torn champions, lost versions, runs that could not go on.
    """

    hit: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    gone_on_with: int = 0
    n_loads: int = 0
    errors: list[str] = field(default_factory=list)


class Reader:
    """Loads the champion as a server would, verified, and asks it, until it is stopped.

    Args:
        models: Folder of versions.
        kills: Where it counts.
    """

    def __init__(self, models: Path, kills: Kills) -> None:
        self._models, self._kills = models, kills
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._seen: set[str] = set()

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        registry = Registry(self._models)
        while not self._stop.is_set():
            try:
                recommender = load_version(registry)
                (slate,) = recommender.recommend([Query(user_id=recommender.users.ids[0], k=5)])
                if len(slate.track_ids) != 5:
                    self._kills.errors.append(
                        f"{recommender.model_version} gave {len(slate.track_ids)} tracks"
                    )
                self._lost(registry)
            except Exception as error:
                self._kills.errors.append(f"the champion cannot be used: {error!r}")
            self._kills.n_loads += 1
            self._stop.wait(0.1)

    def _lost(self, registry: Registry) -> None:
        there = set(registry.versions())
        for version in self._seen - there:
            self._kills.errors.append(f"{version} is gone")
        for version in there - self._seen:
            registry.verify(version)
        self._seen |= there


def kill_retrainings(
    folder: Path, n_kills: int, seed: int = 0, life_s: float = 0.7, limits: GateLimits = LENIENT
) -> Kills:
    """Kill that many retrainings, at random moments of a random step; then let one end.

    Args:
        folder: With ``base``, the data of the first champion, and ``models``, where it serves.
        n_kills: How many.
        seed: Of the moments.
        life_s: Of the lease that a killed process leaves.
        limits: Of the gates.
    """
    kills = Kills()
    rng = random.Random(seed)  # noqa: S311
    url = f"sqlite:///{folder / 'journal.db'}"
    engine = open_engine(url, timeout_s=10)
    arguments = [folder / "models", folder / "base", url, life_s, limits.model_dump_json()]
    command = [sys.executable, "-c", NURSERY, *map(str, arguments)]
    days = 0
    usual: dict[str, float] = {"": 1.0}
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery,
        Reader(folder / "models", kills),
    ):
        ended = True
        while kills.hit.total() < n_kills or not ended:
            if ended:  # there is something new to learn from
                days += 2
                _live_on(engine, days)
            aim = "" if kills.hit.total() < n_kills else None
            if aim is not None and rng.random() < 0.5:
                aim = rng.choice(["build the data", "publish", "judge", "promote"])
            ended = _one(nursery, kills, aim, usual, rng)
        assert nursery.stdin is not None
        nursery.stdin.close()
    engine.dispose()
    _look_around(folder / "models", kills)
    return kills


def _live_on(engine: Engine, days: int) -> None:
    n = LAST_NEW_DAY - FIRST_NEW_DAY
    for day in (days - 2, days - 1):
        first = FIRST_NEW_DAY + day % n
        post_days(engine, first, first + 1, again=day // n)


def _one(
    nursery: subprocess.Popen[str],
    kills: Kills,
    aim: str | None,
    usual: dict[str, float],
    rng: random.Random,
) -> bool:
    """One retraining, killed at some moment of the step aimed at ("" any, None never); whether it ended."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    print("go", file=nursery.stdin, flush=True)
    child = int(nursery.stdout.readline().split()[1])
    began = time.monotonic()
    at, stages, ended = "before the first step", [], False
    entered: dict[str, float] = {}
    for line in iter(nursery.stdout.readline, "gone\n"):
        word, _, rest = line.strip().partition(" ")
        if word == "at":
            at = rest
            stages.append(rest)
            entered[rest] = time.monotonic()
            if len(stages) == 1:  # it has waited for the lease of the one before
                began = entered[rest]
                if aim == "":
                    _kill_after(child, rng.uniform(0, 1.3 * usual[""]))
            if rest == aim:
                _kill_after(child, rng.uniform(0, usual.get(rest, 0.02)))
        elif word == "past":
            usual[rest] = time.monotonic() - entered[rest]
            at = f"after {rest}"
        else:
            ended = True
            kills.ended[rest.split()[0] if word == "done" else "error"] += 1
            if word == "error":
                kills.errors.append(rest)
    if ended:
        usual[""] = time.monotonic() - began
        kills.gone_on_with += "judge" in stages and "build the data" not in stages
    else:
        kills.hit[at] += 1
    return ended


def _kill_after(child: int, delay_s: float) -> None:
    def kill() -> None:
        time.sleep(delay_s)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            return  # it was faster

    threading.Thread(target=kill, daemon=True).start()


def _look_around(models: Path, kills: Kills) -> None:
    """Everything there verifies, nothing half done is left, the champion has the newest data."""
    registry = Registry(models)
    for version in registry.versions():
        registry.verify(version)
    assert registry.alias(CHAMPION) is not None
    left = [*models.glob("versions/.staging-*"), *models.glob("data/building"), *models.glob("data/.*")]
    kills.errors += [f"{path.name} was left" for path in left]
