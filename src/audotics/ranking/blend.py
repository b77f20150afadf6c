"""BlendRanker: the mean of several rankers' standardised scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from audotics.domain import FloatArray
from audotics.errors import DamagedError, NotFittedError
from audotics.ranking.batches import Runtime
from audotics.ranking.names import ranker_class
from audotics.ranking.protocol import Ranker, RankingExamples, RankingInputs
from audotics.ranking.storage import read_settings, write_state


class BlendRanker:
    """Adds up what rankers of different kinds say, each standardised within the list.

    A weighted sum of the features, the same fitted to whole lists, and trees err in different places, so
    their mean orders better than the best of them (Dietterich 2000, *Ensemble Methods in Machine
    Learning*). Members weigh the same: weights learned on some hundred lists were no better.

    Args:
        make: Makes the unfitted members; only `load` and `of` leave it out.
    """

    name: ClassVar[str] = "blend"

    def __init__(self, make: Callable[[], Sequence[Ranker]] | None = None) -> None:
        self._make = make
        self._members: tuple[Ranker, ...] = ()

    @classmethod
    def of(cls, members: Sequence[Ranker], make: Callable[[], Sequence[Ranker]] | None = None) -> Self:
        """A blend of rankers that are fitted already."""
        blend = cls(make)
        blend._members = tuple(members)
        return blend

    @property
    def members(self) -> tuple[Ranker, ...]:
        """The fitted members.

        Raises:
            NotFittedError: There are none yet.
        """
        if not self._members:
            raise NotFittedError("BlendRanker")
        return self._members

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Fit every member on the same lists.

        Raises:
            BadInputError: A member cannot be fitted on them.
            NotFittedError: This one was loaded and does not know how to make its members anew.
        """
        if self._make is None:
            raise NotFittedError("BlendRanker")
        self._members = tuple(member.fit(train, validation) for member in self._make())
        return self

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Mean standardised score ``[n_lists, width]``, -inf where padded.

        Raises:
            NotFittedError: Called before `fit`.
        """
        total = np.zeros(inputs.track_index.shape, np.float32)
        for member in self.members:
            total += standardised(member.score(inputs), inputs)
        total /= np.float32(len(self.members))
        total[~inputs.present] = -np.inf
        return total

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its name."""
        names = [member.name for member in self.members]
        write_state(folder, {"ranker": self.name, "members": names}, {})
        for member in self.members:
            (folder / member.name).mkdir()
            member.save(folder / member.name)

    @classmethod
    def load(cls, folder: Path, runtime: Runtime | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            DamagedError: A file is missing, damaged or of another ranker.
        """
        names = read_settings(folder, cls.name).get("members")
        if not isinstance(names, list) or not names or cls.name in names:
            raise DamagedError("the blend does not say what it is made of", where=str(folder))
        return cls.of([ranker_class(name).load(folder / name, runtime) for name in names])


def standardised(scores: FloatArray, inputs: RankingInputs) -> FloatArray:
    """Scores with mean 0 and deviation 1 over the candidates of each list; 0 where padded."""
    present = inputs.present
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    known = np.where(present, scores, 0.0)
    centred = np.where(present, known - known.sum(axis=1, keepdims=True) / count, 0.0)
    deviation = np.sqrt(np.square(centred).sum(axis=1, keepdims=True) / count)
    result: FloatArray = (centred / np.maximum(deviation, 1e-9)).astype(np.float32)
    return result
