"""What rankers read and what every ranker can do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from audotics.domain import PADDING, BoolArray, FloatArray, IndexArray

if TYPE_CHECKING:
    from audotics.ranking.batches import Runtime

HEADS = ("play", "complete", "like", "skip")
"""Tasks a ranker may predict; ``play`` always comes first, the others where the data has them."""


@dataclass(frozen=True, slots=True)
class RankingInputs:
    """Candidate lists as a ranker reads them, in training and in serving alike.

    Args:
        features: ``[n_lists, width, n_features]``: what retrievers, content and history say of each
            candidate; already scaled to order one, 0 where padded.
        feature_names: ``n_features`` names; those ending in ``:z`` are the retrievers' standardised scores.
        track_index: ``[n_lists, width]``, padded with -1.
        user_index: ``[n_lists]``, -1 for listeners that training never saw.
        context: ``[n_lists, n_context]``: hour and weekday as cycles, device, country; may be 0 wide.
        recent: ``[n_lists, n_recent]``: the listener's last tracks, newest last, padded with -1.
    """

    features: FloatArray
    feature_names: tuple[str, ...]
    track_index: IndexArray
    user_index: IndexArray
    context: FloatArray
    recent: IndexArray

    @property
    def n_lists(self) -> int:
        """How many lists."""
        return len(self.user_index)

    @property
    def present(self) -> BoolArray:
        """``[n_lists, width]``: True where a slot holds a track."""
        present: BoolArray = self.track_index != PADDING
        return present

    def take(self, lists: IndexArray) -> RankingInputs:
        """The chosen lists."""
        return RankingInputs(
            self.features[lists],
            self.feature_names,
            self.track_index[lists],
            self.user_index[lists],
            self.context[lists],
            self.recent[lists],
        )

    def slots(self, part: slice) -> RankingInputs:
        """Some slots of every list."""
        return replace(self, features=self.features[:, part], track_index=self.track_index[:, part])


@dataclass(frozen=True, slots=True)
class RankingExamples:
    """Lists with what the listener then did.

    Args:
        inputs: The lists.
        labels: ``[n_lists, width, n_heads]``: 1 it happened, 0 it did not, NaN nothing is known
            (a skip head knows only of tracks that were played or skipped).
        heads: ``n_heads`` names out of `HEADS`; the first is ``play`` and never NaN where present.
    """

    inputs: RankingInputs
    labels: FloatArray
    heads: tuple[str, ...]

    def take(self, lists: IndexArray) -> RankingExamples:
        """The chosen lists."""
        return RankingExamples(self.inputs.take(lists), self.labels[lists], self.heads)


class Ranker(Protocol):
    """Orders the candidates of each list.

    ``fit`` learns from ``train`` and may stop early on ``validation`` (other listeners); ``score``
    gives ``[n_lists, width]``, higher is better, -inf where padded. ``save`` writes plain files
    into an existing empty folder, ``load`` reads them back without running code from them.
    """

    name: ClassVar[str]

    def fit(self, train: RankingExamples, validation: RankingExamples) -> Self:
        """Learn."""
        ...

    def score(self, inputs: RankingInputs) -> FloatArray:
        """Scores ``[n_lists, width]``."""
        ...

    def save(self, folder: Path) -> None:
        """Write the learned state."""
        ...

    @classmethod
    def load(cls, folder: Path, runtime: Runtime | None = None) -> Self:
        """Read the learned state; ``runtime`` scores with what is deep in it (None: LiteRT)."""
        ...
