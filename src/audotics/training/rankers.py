"""Which rankers compete in a training run, simplest first."""

from __future__ import annotations

from audotics.ranking.names import RANKER_NAMES, ranker_class
from audotics.ranking.protocol import Ranker
from audotics.training.config import TrainConfig


class RankerFactory:
    """Makes unfitted rankers for one run.

    Args:
        config: Settings of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        for name in config.rankers:
            ranker_class(name)
        self.names = tuple(name for name in RANKER_NAMES if name in config.rankers)
        self._config = config

    def new(self, name: str) -> Ranker:
        """An unfitted ranker."""
        return ranker_class(name)()
