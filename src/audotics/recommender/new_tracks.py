"""New tracks: the candidates that nobody has played, and the log odds that a listener plays one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from audotics.data.corpus import Corpus
from audotics.domain import FloatArray
from audotics.ranking.protocol import Ranker, RankingInputs
from audotics.retrieval.stand_ins import StandIns


@dataclass(frozen=True, slots=True)
class NewTracks:
    """The way to tracks that nobody has played.

    What a ranker learns of known tracks misleads for these: that no retriever knows them is no sign that
    nobody will like them. So their scores are lent (`StandIns`), a ranker of their own weighs them, and a
    sigmoid makes log odds of what it says, so that a new track stands among the known ones where its chance
    of a play puts it.

    Args:
        stand_ins: The new tracks and who lends them scores.
        ranker: Learned on tracks that were new, or were made to look so.
        level: Slope and intercept from its score to the log odds of a play.
    """

    stand_ins: StandIns
    ranker: Ranker
    level: tuple[float, float]

    def log_odds(self, inputs: RankingInputs) -> FloatArray:
        """Log odds of a play of each new candidate ``[batch, width]``, -inf where padded."""
        slope, intercept = self.level
        scores = np.where(inputs.present, self.ranker.score(inputs), 0.0)
        odds: FloatArray = np.where(inputs.present, slope * scores + intercept, -np.inf).astype(np.float32)
        return odds

    def refitted(self, corpus: Corpus) -> NewTracks:
        """The same for the new tracks of another corpus."""
        return replace(self, stand_ins=StandIns.of(corpus))
