"""Learning one branch: lists, the contest of its rankers, rankers for newcomers, chances of reactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audotics.data.corpus import Corpus
from audotics.domain import IndexArray, Mode
from audotics.ranking.blend import standardised
from audotics.ranking.by_history import FEW_TRACKS, ByHistoryRanker, lists_by_tier
from audotics.ranking.calibration import fit_sigmoid
from audotics.ranking.heads import HeadModel
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import HEADS, Ranker, RankingExamples
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.retrieval.protocol import Retriever
from audotics.telemetry import Progress
from audotics.training.contest import Standing, hold_contest
from audotics.training.fold import Fold, Roles
from audotics.training.lists import answer_counts, available_heads, joined, ranking_examples
from audotics.training.new_tracks import learn_new_tracks
from audotics.training.rankers import RankerFactory, has_hits

NEWCOMER_LENGTHS = tuple(range(FEW_TRACKS + 1))
"""Tracks that are left of a history when a listener stands for a newcomer."""

NATURAL_NEWCOMERS = 0.03
"""Share of newcomers among the listeners from which on nobody needs to stand for them."""

MOST_NEWCOMERS = Roles(teach=1000, stop=300, choose=300, judge=0)
"""Most listeners of each role who stand for newcomers."""

Lists = Roles[RankingExamples]


@dataclass(frozen=True, slots=True)
class LearnedBranch:
    """What a branch learned on the visible part, and what it takes to learn it again on everything.

    Args:
        branch: Over retrievers that know what is visible.
        winner: The ranker that serves histories that are no newcomer's.
        rankers: All that competed for that.
        standings: How the contest ended.
        newcomers: How the contest for newcomers ended; empty where there was none.
        lists: Labelled lists by role.
        answers: Hidden plays of each list by role, whether or not they are among its candidates.
        short_lists: The same of newcomers.
        factory: Made the rankers, and makes them again.
    """

    branch: Branch
    winner: Ranker
    rankers: list[Ranker]
    standings: list[Standing]
    newcomers: list[Standing]
    lists: Lists
    answers: Roles[IndexArray]
    short_lists: Lists | None
    factory: RankerFactory

    @property
    def left_out(self) -> dict[str, str]:
        """Rankers that did not compete, and why."""
        return self.factory.left_out

    def final(self, corpus: Corpus, retrievers: Sequence[Retriever]) -> Branch:
        """The branch over retrievers that know everything, its rankers fitted on all lists but ``stop``."""
        ranker = self.factory.new(self.winner.name).fit(_all_but_stop(self.lists), self.lists.stop)
        tiers = self.branch.ranker
        if isinstance(tiers, ByHistoryRanker):
            few = ranker
            if tiers.few is not self.winner and self.short_lists is not None:
                few = self.factory.new(tiers.few.name)
                few.fit(_all_but_stop(self.short_lists), self.short_lists.stop)
            ranker = ByHistoryRanker(tiers.nothing, few, ranker)
        return Branch(
            CandidateGenerator(retrievers, self.branch.generator.per_retriever),
            self.branch.assembler.refitted(corpus),
            ranker,
            self.branch.heads,
            self.branch.level,
            None if self.branch.new is None else self.branch.new.refitted(corpus),
        )


def learn_branch(
    asked: Roles[Fold], generator: CandidateGenerator, factory: RankerFactory, seed: int, progress: Progress
) -> LearnedBranch:
    """Learn from the listeners of each role.

    Args:
        asked: Their queries and answers.
        generator: Over retrievers that know what is visible.
        factory: Makes the rankers that compete.
        seed: Seed of everything random.
        progress: Who is told of the stages.
    """
    kind = "heard" if asked.teach.mode is Mode.FAMILIAR else "candidate"
    with progress.stage(f"collect {kind} lists"):
        assembler = _scaled_assembler(asked.teach, generator)
        heads = available_heads(asked.teach.hidden)
        lists = Roles(*(ranking_examples(part, generator, assembler, heads) for part in asked))
    rankers = factory.fit_all(lists.teach, lists.stop, progress)
    answers = Roles(*(answer_counts(part) for part in asked))
    winner, standings = hold_contest(rankers, lists.choose, answers.choose)
    ranker: Ranker = winner
    newcomers: list[Standing] = []
    short_lists: Lists | None = None
    if asked.teach.mode is not Mode.FAMILIAR:
        with progress.stage("learn to rank for newcomers"):
            short = _newcomers(asked, seed)
            short_lists = _lists_of(short, generator, assembler) if _knows_few(lists.teach) else None
            if short_lists is None:
                ranker = ByHistoryRanker(MeanRanker().fit(lists.teach, lists.stop), winner, winner)
            else:
                counts = answer_counts(short.choose)
                ranker, newcomers = _for_newcomers(short_lists, counts, winner, factory)
    with progress.stage(f"learn chances on {kind} lists"):
        tells_of_reactions = len(heads) > 1 and has_hits(lists.teach)
        reactions = HeadModel(seed).fit(lists.teach, lists.stop) if tells_of_reactions else None
        level = _level(ranker, lists.choose)
    new = None
    if asked.teach.mode is not Mode.FAMILIAR:
        with progress.stage("learn of new tracks"):
            new = learn_new_tracks(asked, generator, assembler, seed)
    branch = Branch(generator, assembler, ranker, reactions, level, new)
    return LearnedBranch(branch, winner, rankers, standings, newcomers, lists, answers, short_lists, factory)


def _knows_few(examples: RankingExamples) -> bool:
    """Whether hardly any list is a newcomer's.

    Else the rankers have learned of true newcomers, who are not like others cut short.
    """
    lists = dict(lists_by_tier(examples.inputs))
    n_newcomers = sum(len(lists.get(tier, ())) for tier in (0, 1))
    return n_newcomers < NATURAL_NEWCOMERS * examples.inputs.n_lists


def _newcomers(asked: Roles[Fold], seed: int) -> Roles[Fold]:
    """Some listeners of each role as newcomers."""
    parts = zip(asked, MOST_NEWCOMERS, strict=True)
    return Roles(
        *(part.shortened(NEWCOMER_LENGTHS, most, seed + place) for place, (part, most) in enumerate(parts))
    )


def _lists_of(short: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler) -> Lists | None:
    """Their labelled lists; None where they are too few to learn from."""
    if min(short.teach.batch.size, short.stop.batch.size, short.choose.batch.size) == 0:
        return None
    teach, stop, choose = (
        ranking_examples(part, generator, assembler, HEADS[:1])
        for part in (short.teach, short.stop, short.choose)
    )
    # Nobody judges by these lists: judging asks for newcomers itself.
    lists = Roles(teach, stop, choose, choose.take(np.zeros(0, np.int32)))
    return lists if has_hits(lists.teach) and has_hits(lists.stop) else None


def _for_newcomers(
    lists: Lists, n_positives: IndexArray, winner: Ranker, factory: RankerFactory
) -> tuple[Ranker, list[Standing]]:
    """Rankers by length of the history.

    The winner for long histories competes, too, as the one that the others must beat. A history without a
    track tells nothing: there the mean of the retrievers, of which only popularity and friends speak, serves.
    """
    rivals = factory.simple().fit_all(lists.teach, lists.stop, Progress())
    few, standings = hold_contest([winner, *rivals], lists.choose, n_positives)
    nothing = MeanRanker().fit(lists.teach, lists.stop)
    return ByHistoryRanker(nothing, few, winner), standings


def _scaled_assembler(teaching: Fold, generator: CandidateGenerator) -> FeatureAssembler:
    names = tuple(retriever.name for retriever in generator.retrievers)
    assembler = FeatureAssembler.fit(teaching.visible, names)
    sample = teaching.take(np.arange(min(500, teaching.batch.size), dtype=np.int32))
    return assembler.scaled(ranking_examples(sample, generator, assembler, HEADS[:1]).inputs)


def _level(ranker: Ranker, examples: RankingExamples) -> tuple[float, float]:
    """Platt's slope and intercept from the standardised score to the log odds of a play."""
    present = examples.inputs.present
    scores = standardised(ranker.score(examples.inputs), examples.inputs)
    return fit_sigmoid(scores[present], examples.labels[..., 0][present] > 0)


def _all_but_stop(lists: Lists) -> RankingExamples:
    return joined(*(part for part in (lists.teach, lists.choose, lists.judge) if part.inputs.n_lists))
