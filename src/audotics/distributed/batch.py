"""Lists for many listeners by Ray's workers, each of which maps the version into its memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audotics.recommender import bundle
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.batch_files import OnDone, Part, write_part
from audotics.slate.config import SlateConfig
from audotics.workers import Workers


@dataclass(frozen=True, slots=True)
class SharedVersion:
    """A verified version that workers see under the same path, and the rules of its slates.

    Args:
        folder: Of the version.
        version: Its id.
        rules: `SlateConfig` as JSON.
    """

    folder: Path
    version: str
    rules: str

    @classmethod
    def of(cls, folder: Path, version: str, rules: SlateConfig) -> SharedVersion:
        """The version in ``folder`` under ``rules``."""
        return cls(folder.absolute(), version, rules.model_dump_json())


class PartsByWorkers:
    """Has the parts of a `BatchFile` written by workers; the files equal those of one process.

    Args:
        workers: Who answers; they must see the version and the file under the same paths.
        shared: What they answer with.
    """

    def __init__(self, workers: Workers, shared: SharedVersion) -> None:
        self._workers = workers
        self._shared = shared

    def __call__(self, parts: Iterable[Part], on_done: OnDone) -> None:
        """Write the parts; ``on_done`` hears of each when it is there."""
        tasks = ((self._shared, _absolute(part)) for part in parts)
        for n_listeners in self._workers.map(answer_part, tasks):
            on_done(n_listeners)


def answer_part(task: tuple[SharedVersion, Part]) -> int:
    """Write one part in a worker; how many listeners it has."""
    shared, part = task
    write_part(_processor(shared), part)
    return len(part.user_ids)


@lru_cache(maxsize=1)
def _processor(shared: SharedVersion) -> BatchProcessor:
    """The version's processor; a worker loads it for its first part and keeps it for the next ones."""
    recommender = bundle.load(shared.folder, shared.version)
    rules = SlateConfig.model_validate_json(shared.rules)
    return BatchProcessor(recommender.with_rules(rules), n_threads=1)


def _absolute(part: Part) -> Part:
    return Part(part.path.absolute(), part.user_ids, part.k, part.mode)
