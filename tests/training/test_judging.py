from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from audotics.domain import FloatArray
from audotics.evaluation.report import EvaluationReport, Newcomer, Task
from audotics.evaluation.segments import Segment
from audotics.ranking.deep import DeepRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import Ranker, RankingExamples, RankingInputs
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever
from audotics.training.fold import Fold
from audotics.training.judging import HYBRID, judge, with_popularity
from audotics.training.lists import ranking_examples

NAMES = ("item-knn", "popularity")


class Knowing:
    """A ranker that was told the labels."""

    name = "knowing"

    def __init__(self, examples: RankingExamples, sign: int = 1) -> None:
        self._scores = np.where(examples.inputs.present, sign * examples.labels[..., 0], -np.inf)

    def score(self, inputs: RankingInputs) -> FloatArray:
        return self._scores.astype(np.float32)


class ToldDeep(DeepRanker):
    """The deep ranker with given chances and learning curves in place of a model."""

    def __init__(self, chances: dict[str, FloatArray], **curves: list[float]) -> None:
        super().__init__(None)
        self._chances = chances
        nothing: dict[str, list[float]] = {"pretraining_loss": [], "loss": [], "validation_ndcg": []}
        self.history_ = SimpleNamespace(**(nothing | curves))  # type: ignore[assignment]

    def score(self, inputs: RankingInputs) -> FloatArray:
        return np.where(inputs.present, self._chances["play"], -np.inf).astype(np.float32)

    def probabilities(self, inputs: RankingInputs) -> dict[str, FloatArray]:
        return self._chances


@pytest.fixture(scope="module")
def generator(fold: Fold) -> CandidateGenerator:
    return CandidateGenerator([new_retriever(name, {}).fit(fold.visible) for name in NAMES], 25)


@pytest.fixture(scope="module")
def examples(fold: Fold, generator: CandidateGenerator) -> RankingExamples:
    return ranking_examples(fold, generator, FeatureAssembler.fit(fold.visible, NAMES), ("play",))


@pytest.fixture(scope="module")
def mean(examples: RankingExamples) -> Ranker:
    return MeanRanker().fit(examples, examples)


def right_chances(examples: RankingExamples) -> FloatArray:
    return np.where(np.nan_to_num(examples.labels[..., 0]) > 0, 0.9, 0.1).astype(np.float32)


def judged(
    fold: Fold,
    generator: CandidateGenerator,
    examples: RankingExamples,
    rankers: list[Ranker],
    winner: Ranker,
) -> EvaluationReport:
    # Newcomers are asked for with candidates of their own: those who know the answers of these lists cannot.
    assembler = FeatureAssembler.fit(fold.visible, NAMES).scaled(examples.inputs)
    whole = Recommender(
        users=fold.visible.users,
        tracks=fold.visible.tracks,
        histories=fold.visible.interactions,
        track_table=fold.visible.track_table,
        unheard=Branch(generator, assembler, MeanRanker().fit(examples, examples)),
    )
    return judge(fold, generator, rankers, winner, examples, seed=0, recommender=whole)


def test_who_knows_the_answers_finds_all_that_are_candidates(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples
) -> None:
    knowing = Knowing(examples)
    report = judged(fold, generator, examples, [knowing], knowing)
    hits = np.nansum(examples.labels[..., 0], axis=1)
    answers = np.bincount(fold.hidden["row"].to_numpy(), minlength=fold.batch.size)
    assert report.reference.metrics["recall@100"].mean == pytest.approx(np.mean(hits / answers), abs=1e-6)
    assert report.reference.metrics["hit_rate@5"].mean == pytest.approx(np.mean(hits > 0), abs=1e-6)


def test_the_worst_order_is_told_from_the_best(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples
) -> None:
    best, worst = (Knowing(examples, sign) for sign in (1, -1))
    first = judged(fold, generator, examples, [best], best).reference.metrics["ndcg@10"].mean
    last = judged(fold, generator, examples, [worst], worst).reference.metrics["ndcg@10"].mean
    assert first > 3 * last


def test_every_single_retriever_stands_beside_the_whole(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    report = judged(fold, generator, examples, [mean], mean)
    assert [system.name for system in report.systems] == [HYBRID, *NAMES]
    assert {one.system for one in report.comparisons} == {HYBRID}
    assert {one.baseline for one in report.comparisons} == set(NAMES)
    assert report.learning_curves == {}
    assert not any(system.heads for system in report.systems)


def test_the_test_is_what_was_hidden(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    test = judged(fold, generator, examples, [mean], mean).test
    assert test.task is Task.DISCOVER
    assert test.n_pairs == fold.hidden.filter("play").height
    assert (test.n_listeners, test.n_cold_listeners) == (fold.batch.size, 0)
    assert (test.n_heard_dropped, test.n_unknown_pairs) == (0, 0)


def test_segments_of_every_system_part_the_listeners(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    report = judged(fold, generator, examples, [mean], mean)
    thirds = {Segment.LIGHT_LISTENERS, Segment.MEDIUM_LISTENERS, Segment.HEAVY_LISTENERS}
    for system in report.systems:
        told = {found.segment: found for found in system.segments}
        assert thirds <= set(told)
        assert Segment.COLD_LISTENERS not in told
        sizes = [told[segment].n_listeners for segment in thirds]
        assert sum(sizes) == report.test.n_listeners
        weighted = sum(told[s].n_listeners * told[s].metrics["ndcg@20"].mean for s in thirds)
        assert weighted / sum(sizes) == pytest.approx(system.metrics["ndcg@20"].mean, abs=1e-6)


def test_the_order_of_the_queries_does_not_matter(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    backwards = np.arange(fold.batch.size, dtype=np.int32)[::-1].copy()
    turned = judged(fold.take(backwards), generator, examples.take(backwards), [mean], mean)
    straight = judged(fold, generator, examples, [mean], mean)
    for one, other in zip(turned.systems, straight.systems, strict=True):
        assert one.metrics["ndcg@20"].mean == pytest.approx(other.metrics["ndcg@20"].mean, abs=1e-9)


def test_chances_of_the_deep_ranker_are_told_where_it_lost(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    deep = ToldDeep({"play": right_chances(examples)})
    report = judged(fold, generator, examples, [mean, deep], mean)
    assert [system.name for system in report.systems] == [HYBRID, "deep ranker", *NAMES]
    assert report.system(HYBRID).heads == {}
    play = report.system("deep ranker").heads["play"]
    assert play.n == int(examples.inputs.present.sum())  # and nothing of what only pads the lists
    assert play.roc_auc == 1
    assert (
        report.system("deep ranker").metrics["ndcg@20"].mean > report.system(HYBRID).metrics["ndcg@20"].mean
    )


def test_chances_of_a_deep_ranker_that_won_are_those_of_the_whole(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    deep = ToldDeep({"play": 1 - right_chances(examples)})
    report = judged(fold, generator, examples, [mean, deep], deep)
    assert [system.name for system in report.systems] == [HYBRID, *NAMES]
    assert report.system(HYBRID).heads["play"].roc_auc == 0


def test_heads_are_told_by_their_own_labels(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples
) -> None:
    # Of what was played, the first half was skipped; nothing is known of the rest.
    skips = np.full(examples.labels.shape[:2], np.nan, np.float32)
    played = np.flatnonzero(np.nan_to_num(examples.labels[..., 0]).ravel() > 0)
    half = len(played) // 2
    skips.ravel()[played[:half]] = 1
    skips.ravel()[played[half:]] = 0
    both = RankingExamples(
        examples.inputs,
        np.concatenate([examples.labels, skips[..., None]], axis=-1),
        ("play", "skip"),
    )
    chances = np.where(np.nan_to_num(skips) > 0, 0.8, 0.3).astype(np.float32)
    deep = ToldDeep({"skip": chances, "play": right_chances(examples)})
    heads = judged(fold, generator, both, [deep], deep).reference.heads
    assert set(heads) == {"play", "skip"}
    assert heads["skip"].n == len(played)
    assert heads["skip"].roc_auc == heads["play"].roc_auc == 1
    assert heads["play"].n > heads["skip"].n


def test_the_same_listeners_are_judged_as_newcomers(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    newcomers = judged(fold, generator, examples, [mean], mean).newcomers
    assert [found.newcomer for found in newcomers] == list(Newcomer)
    nothing = newcomers[0]
    assert nothing.n_listeners == fold.batch.size
    assert nothing.n_pairs == fold.hidden.filter("play").height
    for found in newcomers:
        assert list(found.systems) == [HYBRID, *NAMES]
        assert {one.baseline for one in found.comparisons} == {"popularity"}


def test_popularity_stands_beside_newcomers_where_it_is_no_retriever(
    fold: Fold,
) -> None:
    alone = CandidateGenerator([new_retriever("item-knn", {}).fit(fold.visible)], 25)
    added = with_popularity(alone.retrievers, fold.visible)
    assert [retriever.name for retriever in added] == list(NAMES)
    assert with_popularity(added, fold.visible) == added


def test_curves_without_values_are_left_out(
    fold: Fold, generator: CandidateGenerator, examples: RankingExamples, mean: Ranker
) -> None:
    deep = ToldDeep(
        {"play": right_chances(examples)}, loss=[0.7, float("nan")], validation_ndcg=[0.1, 0.2, 0.3]
    )
    curves = judged(fold, generator, examples, [mean, deep], mean).learning_curves
    assert curves == {"ranking loss": (0.7, None), "validation NDCG@20": (0.1, 0.2, 0.3)}
