"""Which rankers compete in a training run, simplest first, and how each is made."""

from __future__ import annotations

from importlib.util import find_spec

from pydantic import ValidationError

from audotics.errors import BadInputError
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.deep import DeepRanker
from audotics.ranking.names import RANKER_NAMES, ranker_class
from audotics.ranking.protocol import Ranker
from audotics.training.config import TrainConfig


class RankerFactory:
    """Makes unfitted rankers for one run.

    Args:
        config: Settings of the run.
        world: What the deep ranker may know of listeners and tracks; nothing hidden may be in it.

    Raises:
        BadInputError: A ranker or a setting of the deep one is unknown or out of bounds.
    """

    def __init__(self, config: TrainConfig, world: RankingWorld) -> None:
        wanted = tuple(name for name in RANKER_NAMES if name in config.rankers)
        self.left_out = ("deep",) if "deep" in wanted and find_spec("tensorflow") is None else ()
        self.names = tuple(name for name in wanted if name not in self.left_out)
        self._world = world
        try:
            self._deep = ModelConfig(**{"seed": config.seed, **config.deep})
        except ValidationError as error:
            raise BadInputError.in_setting(error, "deep.", ModelConfig.model_fields) from error

    def new(self, name: str) -> Ranker:
        """An unfitted ranker."""
        return DeepRanker(self._world, self._deep) if name == DeepRanker.name else ranker_class(name)()
