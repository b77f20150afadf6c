"""Branch: one way from queries to scored candidates, for tracks of one kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, FloatArray, IndexArray, Mode
from audotics.ranking.blend import standardised
from audotics.ranking.head_weights import weighted_by_heads
from audotics.ranking.heads import HeadModel
from audotics.ranking.protocol import Ranker, RankingInputs
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.queries import Wishes
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.reactions import Aversion
from audotics.retrieval.content import ContentKNN

_LEAST_SLOPE = 0.25
"""Where scores hardly tell plays from others, log odds must not stretch without end."""


@dataclass(frozen=True, slots=True)
class ScoredLists:
    """Candidates with what orders them.

    Args:
        track_index: ``[batch, width]``, padded with -1.
        scores: ``[batch, width]``, -inf where padded.
        source: ``[batch, width]``, number of the retriever that argues most for each.
    """

    track_index: IndexArray
    scores: FloatArray
    source: IndexArray


@dataclass(frozen=True, slots=True)
class Branch:
    """Candidates, features and ranker for tracks of one kind: those not heard, or those heard before.

    Args:
        generator: Candidates.
        assembler: Their features.
        ranker: Their order.
        heads: Chances of reactions, where the data tells of any.
        level: Slope and intercept from a standardised score to the log odds of a play (Platt 1999), by
            which tracks of different branches can stand in one list.
        new: The way to tracks that nobody has played, where content can tell of any.
    """

    generator: CandidateGenerator
    assembler: FeatureAssembler
    ranker: Ranker
    heads: HeadModel | None = None
    level: tuple[float, float] = (1.0, 0.0)
    new: NewTracks | None = None

    @property
    def without_new(self) -> Branch:
        """The same with one ranker for all tracks."""
        return replace(self, new=None)

    @property
    def offers_new(self) -> bool:
        """Whether there are tracks that nobody has played, and a way to them."""
        return self.new is not None and self.new.stand_ins.n_new > 0

    def scored(
        self,
        batch: QueryBatch,
        allowed: Allowed,
        depth: int,
        wishes: Wishes | None = None,
        also: IndexArray | None = None,
    ) -> ScoredLists:
        """Scores of the candidates, with the reactions that the queries weigh; log odds with new tracks.

        Args:
            batch: The queries.
            allowed: What may be proposed.
            depth: How many tracks each retriever proposes at least.
            wishes: Weights of the heads by row; None weighs none.
            also: Tracks that are candidates whoever proposes them.
        """
        if self.offers_new and also is None:
            return self.log_odds(batch, allowed, depth, wishes)
        inputs = self.assembler.assemble(batch, self.generator.generate(batch, allowed, depth, also))
        scores = self._ranked(inputs, wishes)
        return ScoredLists(inputs.track_index, scores, self.assembler.strongest_retriever(inputs))

    def log_odds(self, batch: QueryBatch, allowed: Allowed, depth: int, wishes: Wishes | None) -> ScoredLists:
        """The same with scores that are comparable with those of another branch."""
        if self.new is None or not self.offers_new:
            inputs = self.assembler.assemble(batch, self.generator.generate(batch, allowed, depth))
            odds, source = self._known_log_odds(inputs, wishes), self.assembler.strongest_retriever(inputs)
            return ScoredLists(inputs.track_index, odds, source)
        stand_ins = self.new.stand_ins
        candidates, n_known = self.generator.generate_with_new(batch, allowed, stand_ins, depth)
        inputs = self.assembler.assemble(batch, candidates)
        known, fresh = inputs.slots(slice(n_known)), inputs.slots(slice(n_known, None))
        odds = np.concatenate(
            [self._known_log_odds(known, wishes), self._new_log_odds(self.new, fresh, wishes)], axis=1
        )
        source = self.assembler.strongest_retriever(inputs)
        if ContentKNN.name in self.assembler.retrievers:
            # Whoever lends a new track its score cannot say why: content chose the lenders.
            source[:, n_known:] = self.assembler.retrievers.index(ContentKNN.name)
        return ScoredLists(inputs.track_index, odds, source)

    def _known_log_odds(self, inputs: RankingInputs, wishes: Wishes | None) -> FloatArray:
        slope, intercept = self.level
        odds = slope * standardised(self._ranked(inputs, wishes), inputs) + intercept
        return np.where(inputs.present, odds, -np.inf).astype(np.float32)

    @staticmethod
    def _new_log_odds(new: NewTracks, inputs: RankingInputs, wishes: Wishes | None) -> FloatArray:
        """Of new tracks the chance of a play alone is known: no reaction weighs in, but skips do."""
        odds = new.log_odds(inputs)
        for row, aversion in enumerate(() if wishes is None else wishes.aversions):
            if aversion is not None:
                odds[row] += aversion.shifts(inputs.track_index[row])
        return odds

    def _ranked(self, inputs: RankingInputs, wishes: Wishes | None) -> FloatArray:
        scores = self.ranker.score(inputs)
        if self.heads is not None and wishes is not None and wishes.weigh_heads:
            scores = self._weighed(self.heads, inputs, scores, wishes)
        if wishes is not None and wishes.aversions:
            scores = self._averse(inputs, scores, wishes.aversions)
        return scores

    def _averse(
        self, inputs: RankingInputs, scores: FloatArray, aversions: Sequence[Aversion | None]
    ) -> FloatArray:
        """Scores without the log odds that skips take, brought to the scale of each list's scores."""
        lowered = scores.copy()
        slope = max(self.level[0], _LEAST_SLOPE)
        for row, aversion in enumerate(aversions):
            if aversion is not None:
                deviation = float(scores[row][inputs.present[row]].std())
                lowered[row] += aversion.shifts(inputs.track_index[row]) * (deviation / slope)
        return lowered

    @staticmethod
    def _weighed(heads: HeadModel, inputs: RankingInputs, scores: FloatArray, wishes: Wishes) -> FloatArray:
        """Scores of the lists with weights of their own; queries with the same weights go together."""
        weighed = scores.copy()
        for weights, rows in wishes.by_weights(heads.heads_):
            part = inputs.take(rows)
            weighed[rows] = weighted_by_heads(scores[rows], heads.probabilities(part), weights)
        return weighed


def mixed(
    unheard: Branch,
    heard: Branch,
    batch: QueryBatch,
    allowed: Allowed,
    depth: int,
    wishes: Wishes | None,
) -> ScoredLists:
    """Tracks of both kinds in one list, by the chance that they are played next.

    The dial from 0 (discover) to 1 (familiar) adds its log odds to those of every heard track: in the
    middle the chances stand as they were learned, at the ends one kind is left.
    """
    parts = [
        unheard.log_odds(batch, allowed.in_mode(Mode.DISCOVER), depth, wishes),
        heard.log_odds(batch, allowed.in_mode(Mode.FAMILIAR), depth, wishes),
    ]
    dial = familiarity(allowed, wishes)
    # Only the difference of the two shifts orders, so one is enough; an end of the dial leaves one kind.
    inner = np.clip(dial, 1e-6, 1 - 1e-6)
    for_heard = np.where(dial == 0, -np.inf, np.log(inner) - np.log1p(-inner))
    shifts = (np.where(dial == 1, -np.inf, 0.0), for_heard)
    scores = np.concatenate(
        [part.scores + shift[:, None] for part, shift in zip(parts, shifts, strict=True)], axis=1
    ).astype(np.float32)
    index = np.concatenate([part.track_index for part in parts], axis=1)
    return ScoredLists(
        np.where(scores == -np.inf, PADDING, index).astype(np.int32),
        scores,
        np.concatenate([part.source for part in parts], axis=1),
    )


_DIAL: Mapping[Mode, float] = {Mode.DISCOVER: 0.0, Mode.MIX: 0.5, Mode.FAMILIAR: 1.0}


def familiarity(allowed: Allowed, wishes: Wishes | None) -> FloatArray:
    """The dial of each query ``[batch]``: what it asks for, else what its mode means."""
    by_mode = np.array([_DIAL[mode] for mode in allowed.mode], np.float32)
    if wishes is None:
        return by_mode
    asked: FloatArray = np.where(np.isnan(wishes.familiarity), by_mode, wishes.familiarity)
    return asked
