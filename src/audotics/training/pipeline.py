"""TrainingPipeline: from a Dataset to a recommender whose every choice was made on hidden events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from audotics.data.corpus import Corpus
from audotics.data.dataset import Dataset
from audotics.domain import Mode
from audotics.evaluation.report import EvaluationReport
from audotics.features.processor import DataProcessor
from audotics.ranking.config import RankingWorld
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever, retriever_class
from audotics.retrieval.protocol import Retriever
from audotics.telemetry import Progress
from audotics.training.branches import LearnedBranch, learn_branch
from audotics.training.config import TrainConfig
from audotics.training.contest import Standing
from audotics.training.fold import Fold, Roles
from audotics.training.judging import judge
from audotics.training.learners import Learners
from audotics.training.preparation import (
    FAVOURITES,
    hidden_fold,
    parted,
    parted_repeats,
    tuning_folds,
)
from audotics.training.rankers import RankerFactory
from audotics.training.tuning import Trial, chosen_trial, tune
from audotics.training.warm_start import WarmRows, WarmStart

TunedSettings = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run gives.

    Args:
        recommender: Fitted on everything.
        config: The settings of the run.
        tuned: TunedSettings in force that differ from the defaults, by retriever name.
        trials: What tuning tried, by retriever name.
        standings: The contest of the rankers.
        newcomer_standings: The contest of those for newcomers, empty where nobody could stand for one.
        heard_standings: The contest of those for heard tracks, empty where nobody plays any again.
        report: The evaluation on the judging listeners, by models that had not seen their hidden events.
        holdout: How events were hidden to make all choices.
        left_out: Rankers that did not compete, and why.
        track_processor: Made the content that the deep ranker reads out of the catalogue.
        learned: How the branch for unheard tracks was learned, for those who want to look closer.
    """

    recommender: Recommender
    config: TrainConfig
    tuned: TunedSettings
    trials: dict[str, list[Trial]]
    standings: list[Standing]
    newcomer_standings: list[Standing]
    heard_standings: list[Standing]
    report: EvaluationReport
    holdout: str
    left_out: dict[str, str]
    track_processor: DataProcessor
    learned: LearnedBranch


class TrainingPipeline:
    """Trains, tunes and judges; the result is fitted on all of the data.

    Part of the events is hidden. Some of the listeners with hidden events teach (tuning, rankers),
    some stop the fitting of rankers, some choose between them, the rest only judge the result. Then
    everything is fitted again on all events with the settings found.

    Args:
        config: TunedSettings of the run.
        progress: Who is told of the stages.
        learners: Who fits the models; tuning tries its settings in this process.
    """

    def __init__(
        self,
        config: TrainConfig | None = None,
        progress: Progress | None = None,
        learners: Learners | None = None,
    ) -> None:
        self.config = config or TrainConfig()
        self._learners = learners or Learners()
        self.progress = progress or Progress()
        self.track_processor = DataProcessor()

    def train(self, dataset: Dataset, warm: WarmStart | None = None) -> Trained:
        """Train on all of a Dataset.

        Args:
            dataset: The data.
            warm: An earlier version to begin with; what is hidden is then what that one does not know, if
                that is enough.

        Raises:
            BadInputError: There is too little data to hold anything out.
        """
        with self.progress.stage("read and hide"):
            since = None if warm is None else warm.hide_since(dataset)
            fold = hidden_fold(dataset, self.config, since)
            asked, again = parted(fold, self.config), parted_repeats(fold, self.config)
        trials, tuned = self._tune(asked.teach, None if again is None else again.teach)
        # One that has learned from what is hidden must not help to fit what is judged by it.
        honest = warm.into(fold.visible) if warm is not None and since is not None else None
        with self.progress.stage("fit retrievers on what is visible"):
            visible = self._fitted(fold.visible, tuned, honest)
        factory = RankerFactory(self.config, self._world(fold, honest), self._learners.fit_deep)
        unheard = self._learn(asked, self._generator(visible, fold.mode), factory)
        heard = None
        if again is not None:
            heard = self._learn(again, self._generator(visible, Mode.FAMILIAR), factory.simple())
        with self.progress.stage("judge on listeners that took no part"):
            knowing_visible = self._recommender(
                fold.visible, unheard.branch, None if heard is None else heard.branch
            )
            report = judge(
                asked.judge,
                unheard.branch.generator,
                unheard.rankers,
                unheard.winner,
                unheard.lists.judge,
                self.config.seed,
                recommender=knowing_visible,
            )
        with self.progress.stage("fit everything on all events"):
            everything = self._fitted(fold.corpus, tuned, None if warm is None else warm.into(fold.corpus))
            recommender = self._recommender(
                fold.corpus,
                unheard.final(fold.corpus, self._generator(everything, fold.mode).retrievers),
                None
                if heard is None
                else heard.final(fold.corpus, self._generator(everything, Mode.FAMILIAR).retrievers),
            )
        return Trained(
            recommender=recommender,
            config=self.config,
            tuned=tuned,
            trials=trials,
            standings=unheard.standings,
            newcomer_standings=unheard.newcomers,
            heard_standings=[] if heard is None else heard.standings,
            report=report,
            holdout=fold.description,
            left_out=unheard.left_out,
            track_processor=self.track_processor,
            learned=unheard,
        )

    def _learn(
        self, asked: Roles[Fold], generator: CandidateGenerator, factory: RankerFactory
    ) -> LearnedBranch:
        return learn_branch(asked, generator, factory, self.config.seed, self.progress)

    def _generator(self, retrievers: list[Retriever], mode: Mode) -> CandidateGenerator:
        """Over all retrievers; those that know nothing of unheard tracks come last, or not at all."""
        useful = [one for one in retrievers if one.name != FAVOURITES]
        if mode is not Mode.DISCOVER:
            useful += [one for one in retrievers if one.name == FAVOURITES]
        return CandidateGenerator(useful, self.config.per_retriever)

    def _recommender(self, corpus: Corpus, unheard: Branch, heard: Branch | None) -> Recommender:
        return Recommender(
            users=corpus.users,
            tracks=corpus.tracks,
            histories=corpus.interactions,
            track_table=corpus.track_table,
            unheard=unheard,
            heard=heard,
        )

    def _tune(self, teaching: Fold, again: Fold | None) -> tuple[dict[str, list[Trial]], TunedSettings]:
        """Settings by retriever; favourites are judged by what was played ``again``."""
        config = self.config
        folds = tuning_folds(teaching, again, config)
        trials: dict[str, list[Trial]] = {}
        tuned: TunedSettings = {}
        deadline = time.monotonic() + config.tune_seconds
        for number, (name, few) in enumerate(folds.items()):
            if name in config.settings or not retriever_class(name).quick_to_tune:
                tuned[name] = config.settings.get(name, {})
                continue
            # What the cheap ones leave over goes to those that follow.
            share = max(0.0, deadline - time.monotonic()) / (len(folds) - number)
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
            tuned[name] = chosen_trial(trials[name]).settings
        return trials, tuned

    def _fitted(self, corpus: Corpus, tuned: TunedSettings, warm: WarmRows | None) -> list[Retriever]:
        retrievers = (new_retriever(name, settings) for name, settings in tuned.items())
        begun = (one if warm is None else warm.begin(one) for one in retrievers)
        return [self._learners.fit_retriever(one, corpus) for one in begun]

    def _world(self, fold: Fold, warm: WarmRows | None) -> RankingWorld:
        with self.progress.stage("process track features"):
            processed = self.track_processor.fit_transform(fold.corpus.track_table)
        content = np.asarray(processed, dtype=np.float32)
        start = None if warm is None else warm.vectors()
        return RankingWorld(fold.corpus.n_users, content, fold.visible.interactions, start)
