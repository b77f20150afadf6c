"""TrainingPipeline: from a Dataset to a recommender whose every choice was made on hidden events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from audotics.data.corpus import Corpus
from audotics.data.dataset import Dataset
from audotics.errors import BadInputError
from audotics.evaluation.report import EvaluationReport
from audotics.features.processor import DataProcessor
from audotics.ranking.config import RankingWorld
from audotics.ranking.protocol import HEADS, Ranker
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever, retriever_class
from audotics.retrieval.protocol import Retriever
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.contest import Standing, hold_contest
from audotics.training.fold import CONTEXT_SHARE, Fold, Roles, hide
from audotics.training.judging import judge
from audotics.training.lists import answer_counts, available_heads, joined, ranking_examples
from audotics.training.rankers import RankerFactory
from audotics.training.tuning import Trial, tune

TunedSettings = dict[str, dict[str, Any]]

FAVOURITES = "favourites"

TUNING_PAIRS = 400_000
"""Listener-track pairs beyond which retrievers are tuned on a sample of the listeners."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run gives.

    Args:
        recommender: Fitted on everything.
        config: The settings of the run.
        tuned: TunedSettings in force that differ from the defaults, by retriever name.
        trials: What tuning tried, by retriever name.
        standings: The contest of the rankers.
        report: The evaluation on the judging listeners, by models that had not seen their hidden events.
        holdout: How events were hidden to make all choices.
        left_out: Rankers that did not compete, and why.
        track_processor: Made the content that the deep ranker reads out of the catalogue.
    """

    recommender: Recommender
    config: TrainConfig
    tuned: TunedSettings
    trials: dict[str, list[Trial]]
    standings: list[Standing]
    report: EvaluationReport
    holdout: str
    left_out: dict[str, str]
    track_processor: DataProcessor


class TrainingPipeline:
    """Trains, tunes and judges; the result is fitted on all of the data.

    Part of the events is hidden. Some of the listeners with hidden events teach (tuning, rankers),
    some stop the fitting of rankers, some choose between them, the rest only judge the result. Then
    everything is fitted again on all events with the settings found.

    Args:
        config: TunedSettings of the run.
        progress: Who is told of the stages.
    """

    def __init__(self, config: TrainConfig | None = None, progress: Progress | None = None) -> None:
        self.config = config or TrainConfig()
        self.progress = progress or Progress()
        self.track_processor = DataProcessor()

    def train(self, dataset: Dataset) -> Trained:
        """Train on all of a Dataset.

        Raises:
            BadInputError: There is too little data to hold anything out.
        """
        with self.progress.stage("read and hide"):
            fold = self._hide(dataset)
            asked = self._parts(fold)
        trials, tuned = self._tune(asked.teach)
        with self.progress.stage("fit retrievers on what is visible"):
            visible = CandidateGenerator(self._fitted(fold.visible, tuned), self.config.per_retriever)
        with self.progress.stage("collect candidate lists"):
            assembler = self._scaled_assembler(fold.visible, visible, asked.teach)
            heads = available_heads(fold.hidden)
            lists = Roles(*(ranking_examples(part, visible, assembler, heads) for part in asked))
        factory = RankerFactory(self.config, self._world(fold))
        rankers = factory.fit_all(lists.teach, lists.stop, self.progress)
        winner, standings = hold_contest(rankers, lists.choose, answer_counts(asked.choose))
        with self.progress.stage("judge on listeners that took no part"):
            report = judge(asked.judge, visible, rankers, winner, lists.judge, self.config.seed)
        with self.progress.stage("fit everything on all events"):
            everything = joined(lists.teach, lists.choose, lists.judge)
            ranker = factory.new(winner.name).fit(everything, lists.stop)
            recommender = self._final(fold.corpus, assembler, tuned, ranker)
        return Trained(
            recommender=recommender,
            config=self.config,
            tuned=tuned,
            trials=trials,
            standings=standings,
            report=report,
            holdout=fold.description,
            left_out=factory.left_out,
            track_processor=self.track_processor,
        )

    def _parts(self, fold: Fold) -> Roles[Fold]:
        config = self.config
        roles = fold.roles(config.seed, config.hide_from)
        teach, stop, choose, judge = (fold.take(rows) for rows in roles)
        # Rankers learn both kinds of query; they are chosen and judged as lists are asked for offline.
        untold = 1 - CONTEXT_SHARE
        return Roles(
            teach.without_context(untold, config.seed),
            stop.without_context(untold, config.seed),
            choose.without_context(1.0, config.seed),
            judge.without_context(1.0, config.seed),
        )

    def _hide(self, dataset: Dataset) -> Fold:
        events = dataset.events().collect()
        fold = hide(
            events,
            dataset.tracks(),
            dataset.users(),
            way=self.config.split,
            most_listeners=self.config.hide_from,
            seed=self.config.seed,
            include_heard=self.config.include_heard,
        )
        if fold.batch.size < 10:
            raise BadInputError(
                f"only {fold.batch.size} listeners have tracks that can be held out",
                where=str(dataset.path),
                remedy="Training needs at least 10 listeners with five tracks or more each",
            )
        return fold

    def _retriever_names(self, corpus: Corpus) -> list[str]:
        if self.config.retrievers:
            return list(self.config.retrievers)
        # Favourites propose nothing but what was heard.
        useful = [name for name in RETRIEVER_NAMES if name != FAVOURITES or self.config.include_heard]
        return [name for name in useful if retriever_class(name).applies_to(corpus)]

    def _tune(self, teaching: Fold) -> tuple[dict[str, list[Trial]], TunedSettings]:
        config = self.config
        few = teaching.take(np.arange(min(config.tune_listeners, teaching.batch.size), dtype=np.int32))
        few = few.thinned(TUNING_PAIRS, config.seed)
        names = self._retriever_names(teaching.visible)
        trials: dict[str, list[Trial]] = {}
        tuned: TunedSettings = {}
        deadline = time.monotonic() + config.tune_seconds
        for number, name in enumerate(names):
            if name in config.settings:
                tuned[name] = config.settings[name]
                continue
            # What the cheap ones leave over goes to those that follow.
            share = max(0.0, deadline - time.monotonic()) / (len(names) - number)
            with self.progress.stage(f"tune {name}"):
                trials[name] = tune(
                    partial(new_retriever, name),
                    retriever_class(name).search_space(teaching.visible),
                    few,
                    portfolio=retriever_class(name).portfolio,
                    n_trials=config.tune_trials,
                    seconds=share,
                    seed=config.seed,
                )
            tuned[name] = max(trials[name], key=lambda trial: trial.ndcg).settings
        return trials, tuned

    def _fitted(self, corpus: Corpus, tuned: TunedSettings) -> list[Retriever]:
        return [new_retriever(name, settings).fit(corpus) for name, settings in tuned.items()]

    def _scaled_assembler(
        self, corpus: Corpus, generator: CandidateGenerator, teaching: Fold
    ) -> FeatureAssembler:
        names = tuple(retriever.name for retriever in generator.retrievers)
        assembler = FeatureAssembler.fit(corpus, names)
        sample = teaching.take(np.arange(min(500, teaching.batch.size), dtype=np.int32))
        return assembler.scaled(ranking_examples(sample, generator, assembler, HEADS[:1]).inputs)

    def _world(self, fold: Fold) -> RankingWorld:
        with self.progress.stage("process track features"):
            processed = self.track_processor.fit_transform(fold.corpus.track_table)
        content = np.asarray(processed, dtype=np.float32)
        return RankingWorld(fold.corpus.n_users, content, fold.visible.interactions)

    def _final(
        self, corpus: Corpus, assembler: FeatureAssembler, tuned: TunedSettings, ranker: Ranker
    ) -> Recommender:
        generator = CandidateGenerator(self._fitted(corpus, tuned), self.config.per_retriever)
        return Recommender(
            users=corpus.users,
            tracks=corpus.tracks,
            histories=corpus.interactions,
            track_table=corpus.track_table,
            generator=generator,
            assembler=assembler.refitted(corpus),
            ranker=ranker,
        )
