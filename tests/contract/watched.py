"""An answering server without HTTP whose versions are on probation."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from audotics.domain import Context, Query
from audotics.journal.engine import open_engine
from audotics.journal.events import EventJournal
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving.answering import Answering
from audotics.serving.cache import CacheManager
from audotics.serving.following import ModelFollower
from audotics.serving.guardrails import Guardrails
from audotics.serving.guardrails.counters import GuardrailCounters
from audotics.serving.metrics import Metrics
from audotics.serving.profiles import Profiles
from audotics.slate import SlateConfig


class Watched:
    """Follower, guardrails and ladder over a folder of small versions.

    Args:
        models: Folder of versions, the champion among them.
        folder: For the journal.
        settings: Of the guardrails.
    """

    def __init__(self, models: Path, folder: Path, **settings: Any) -> None:
        self.registry = Registry(models)
        self._engine = open_engine(f"sqlite:///{folder / 'journal.db'}")
        self.profiles = Profiles(EventJournal(self._engine))
        self.models = ModelFollower(models, CHAMPION, SlateConfig())
        self.metrics = Metrics()
        self.guardrails = Guardrails(
            self.models,
            self.registry,
            CHAMPION,
            GuardrailCounters(self.metrics.registry),
            lambda query, after: self.profiles.reactions(query.listeners, after),
            **settings,
        )
        self.answering = Answering(
            self.models,
            self.profiles,
            CacheManager(),
            self.metrics,
            deadline_s=10.0,
            recommend=self.guardrails.recommend,
            stand_in=self.guardrails.stand_in,
        )
        self.guardrails.start()
        self._asked = 0

    def close(self) -> None:
        self.guardrails.stop()
        self.answering.close()
        self._engine.dispose()

    def promote(self, version: str) -> None:
        """Move the alias and follow it."""
        self.registry.set_alias(CHAMPION, version)
        assert self.models.check()
        assert self.models.current.version == version

    def ask(self, n: int) -> list[dict[str, Any]]:
        """Ask as the planted listeners in turn, always something else: nothing comes from the cache."""
        self._asked += n
        return [self._one(number) for number in range(self._asked - n, self._asked)]

    def ask_until_dropped(self, most: int = 400) -> list[dict[str, Any]]:
        """Ask until the version is dropped, at a pace that lets others compute as well."""
        answers: list[dict[str, Any]] = []
        while not self.guardrails.dropped and len(answers) < most:
            answers += self.ask(1)
            time.sleep(0.005)
        return answers

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def _one(self, number: int) -> dict[str, Any]:
        query = Query(f"u{number % 90:03d}", k=10 + number // 90, context=Context(device=f"d{number}"))
        answer = asyncio.run(self.answering.answer(query))
        document: dict[str, Any] = json.loads(answer.json())
        return document
