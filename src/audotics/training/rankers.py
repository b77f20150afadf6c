"""Which rankers compete in a training run, simplest first, and how each is made."""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib.util import find_spec
from inspect import signature

from audotics.errors import MissingExtraError
from audotics.ranking.blend import BlendRanker
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.deep import DeepRanker, FitModel
from audotics.ranking.names import RANKER_NAMES, ranker_class
from audotics.ranking.protocol import Ranker, RankingExamples
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig

BLENDED = ("logistic", "boosted", "deep")
"""Rankers that the blend is made of, as far as they compete."""

NEED_HITS = ("logistic", "boosted", "blend", "deep")
"""Rankers that cannot be fitted where no list that stops them holds a hidden play."""


class RankerFactory:
    """Makes unfitted rankers for one run.

    Args:
        config: Settings of the run.
        world: What the deep ranker may know of listeners and tracks; nothing hidden may be in it.
        fit_deep: What trains the deep ranker; None does it in this process.

    Raises:
        MissingExtraError: Only the deep ranker may compete and TensorFlow is not installed.
    """

    def __init__(self, config: TrainConfig, world: RankingWorld, fit_deep: FitModel | None = None) -> None:
        wanted = tuple(name for name in RANKER_NAMES if name in config.rankers)
        self.left_out: dict[str, str] = {}
        if config.include_heard and wanted != ("single",):
            # The best one there knows the listener's favourites and nothing of unheard tracks.
            self.left_out |= dict.fromkeys({"single"} & set(wanted), "heard and unheard tracks need several")
        if "deep" in wanted and find_spec("tensorflow") is None:
            self.left_out["deep"] = "TensorFlow is not installed (pip install 'audotics[tensorflow]')"
        if "blend" in wanted and len(self._blended(wanted)) < 2:
            self.left_out["blend"] = f"it takes two of {', '.join(BLENDED)}"
        self.names = tuple(name for name in wanted if name not in self.left_out)
        if not self.names:
            raise MissingExtraError("the deep ranker", "tensorflow")
        self._seed = config.seed
        self._world = world
        self._fit_deep = fit_deep
        self._deep = ModelConfig(**{"seed": config.seed, **config.deep})

    def fit_all(self, taught: RankingExamples, stopping: RankingExamples, progress: Progress) -> list[Ranker]:
        """Fit every ranker that the data allows, simplest first; the mean stands in where none can be."""
        if not has_hits(taught):
            self._leave_out([name for name in self.names if name != "mean"], "no hidden play is a candidate")
        elif not has_hits(stopping):
            self._leave_out(
                [name for name in self.names if name in NEED_HITS], "too few listeners with hidden plays"
            )
        rankers: list[Ranker] = []
        for name in self.names or ("mean",):
            if name == BlendRanker.name:
                # Its members compete, too, and are fitted already.
                rankers.append(BlendRanker.of([one for one in rankers if one.name in BLENDED]))
                continue
            with progress.stage(f"fit the {name} ranker"):
                rankers.append(self.new(name).fit(taught, stopping))
        return rankers

    def simple(self) -> RankerFactory:
        """The same without the deep ranker, for lists that are few or that it knows nothing more of."""
        names = tuple(name for name in self.names if name != DeepRanker.name) or ("mean",)
        other = copy.copy(self)
        other.names, other.left_out = names, {}
        return other

    def new(self, name: str) -> Ranker:
        """An unfitted ranker."""
        if name == DeepRanker.name:
            return DeepRanker(self._world, self._deep, self._fit_deep)
        if name == BlendRanker.name:
            return BlendRanker(lambda: [self.new(member) for member in self._blended(self.names)])
        found: Callable[..., Ranker] = ranker_class(name)
        return found(seed=self._seed) if "seed" in signature(found).parameters else found()

    @staticmethod
    def _blended(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in BLENDED)

    def _leave_out(self, names: list[str], why: str) -> None:
        self.left_out |= dict.fromkeys(names, why)
        self.names = tuple(name for name in self.names if name not in names)


def has_hits(examples: RankingExamples) -> bool:
    """Whether any hidden play is among the candidates."""
    return bool((examples.labels[..., 0] > 0).any())
