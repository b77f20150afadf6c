"""ByHistoryRanker: another ranker for listeners of whom little or nothing is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from audotics.domain import PADDING, FloatArray, IndexArray
from audotics.errors import DamagedError
from audotics.ranking.batches import Runtime
from audotics.ranking.names import ranker_class
from audotics.ranking.protocol import Ranker, RankingExamples, RankingInputs
from audotics.ranking.storage import read_settings, write_state

FEW_TRACKS = 3
"""The longest history of a newcomer."""

TIERS = ("nothing", "few", "many")
"""Histories without a track, with at most `FEW_TRACKS`, and longer ones."""


class ByHistoryRanker:
    """Scores each list with the ranker for histories of its length.

    What a ranker learned on long histories (trust the collaborative retrievers, discount the popular)
    misleads where those retrievers know one track or none. Scores are comparable inside a list only,
    so every list may have a ranker of its own.

    Args:
        nothing: For listeners without a track.
        few: For those with at most `FEW_TRACKS`.
        many: For all others.
    """

    name: ClassVar[str] = "by-history"

    def __init__(self, nothing: Ranker, few: Ranker, many: Ranker) -> None:
        self.nothing, self.few, self.many = nothing, few, many

    @property
    def tiers(self) -> tuple[Ranker, Ranker, Ranker]:
        """The rankers in the order of `TIERS`."""
        return self.nothing, self.few, self.many

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Fit each ranker on the lists of its own histories."""
        theirs = dict(lists_by_tier(train.inputs))
        held = dict(lists_by_tier(validation.inputs))
        for tier, ranker in enumerate(self.tiers):
            if tier in theirs:
                ranker.fit(train.take(theirs[tier]), validation.take(held.get(tier, _NOTHING)))
        return self

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Scores ``[n_lists, width]``, -inf where padded."""
        scores = np.full(inputs.track_index.shape, -np.inf, np.float32)
        for tier, lists in lists_by_tier(inputs):
            scores[lists] = self.tiers[tier].score(inputs.take(lists))
        return scores

    def save(self, folder: Path) -> None:
        """Write each ranker into a folder of its tier."""
        names = {tier: ranker.name for tier, ranker in zip(TIERS, self.tiers, strict=True)}
        write_state(folder, {"ranker": self.name, "tiers": names}, {})
        for tier, ranker in zip(TIERS, self.tiers, strict=True):
            (folder / tier).mkdir()
            ranker.save(folder / tier)

    @classmethod
    def load(cls, folder: Path, runtime: Runtime | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            DamagedError: A file is missing, damaged or of another ranker.
        """
        names = read_settings(folder, cls.name).get("tiers")
        if not isinstance(names, dict) or set(names) != set(TIERS) or cls.name in names.values():
            raise DamagedError("the rankers by history are incomplete", where=str(folder))
        return cls(*(ranker_class(names[tier]).load(folder / tier, runtime) for tier in TIERS))


_NOTHING: IndexArray = np.zeros(0, np.int32)


def lists_by_tier(inputs: RankingInputs) -> Iterator[tuple[int, IndexArray]]:
    """Place in `TIERS` and numbers of the lists, for every tier that has lists."""
    heard = np.count_nonzero(inputs.recent != PADDING, axis=1)
    tier = np.digitize(heard, [1, FEW_TRACKS + 1])
    for place in range(len(TIERS)):
        lists = np.flatnonzero(tier == place).astype(np.int32)
        if len(lists):
            yield place, lists
