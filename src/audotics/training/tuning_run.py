"""A long search of every retriever's settings, whose trials outlive it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from audotics.data.corpus import Corpus
from audotics.data.dataset import Dataset
from audotics.errors import BadInputError
from audotics.retrieval.names import new_retriever, retriever_class
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig
from audotics.training.fold import Fold
from audotics.training.preparation import hidden_fold, parted, parted_repeats, tuning_folds
from audotics.training.toml_text import toml_text
from audotics.training.tuning import SettingsSearch, Trial
from audotics.training.tuning_history import TuningBasis, TuningHistory
from audotics.version import __version__


@dataclass(frozen=True, slots=True)
class TunedRetriever:
    """What is known of one retriever's settings.

    Args:
        name: The retriever.
        defaults: The trial of its defaults.
        best: The best trial.
        n_trials: How many there are, those of earlier runs included.
    """

    name: str
    defaults: Trial
    best: Trial
    n_trials: int

    @property
    def settings(self) -> dict[str, Any]:
        """The best ones where they gain, else the defaults."""
        return (self.best if self.best.gains else self.defaults).settings


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What all trials on one basis say.

    Args:
        basis: What the figures rest on.
        retrievers: Those whose defaults were tried, in the order of training.
        n_new: How many trials this run added.
        n_others: Trials in the history that rest on something else.
    """

    basis: TuningBasis
    retrievers: list[TunedRetriever]
    n_new: int
    n_others: int

    def config_text(self, config: TrainConfig) -> str:
        """TOML for ``audotics train --config``: the settings that were given, and those found."""
        found = {tuned.name: _without_nulls(tuned.settings) for tuned in self.retrievers}
        given = config.model_dump(exclude_unset=True, exclude={"settings"})
        made = f"# Made by `audotics tune`, tried on: {self.basis.holdout}.\n"
        return made + toml_text({**given, "settings": {**config.settings, **found}})


class TuningRun:
    """Searches the settings of retrievers as training does, but for longer, and keeps every trial.

    Events are hidden as training hides them, and the listeners that teach judge a trial: those that choose
    a ranker and those that judge the result of a later training take no part. All retrievers take turns,
    so that a run cut short has searched each about as far.

    Args:
        config: Settings of the training run to come; retrievers whose settings it fixes are not searched.
        history: Where trials are kept, and what was tried before.
        retrievers: Names to search, fixed or not; empty takes all that training would use.
        progress: Who is told of the stages.

    Raises:
        BadInputError: There is no retriever of a given name.
    """

    def __init__(
        self,
        config: TrainConfig,
        history: TuningHistory,
        retrievers: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> None:
        for name in retrievers:
            retriever_class(name)
        self._config = config
        self._history = history
        self._asked = tuple(dict.fromkeys(retrievers))
        self._progress = progress or Progress()

    def run(self, dataset: Dataset, n_trials: int, seconds: float) -> TuningResult:
        """Add trials to the history.

        Args:
            dataset: What training will be given.
            n_trials: New trials of each retriever; 0 only tells what the history says.
            seconds: No trial starts that would probably end after this time, save one of defaults.

        Raises:
            BadInputError: There is too little data to hold anything out, or nothing to search.
        """
        deadline = time.monotonic() + seconds
        with self._progress.stage("read and hide"):
            teaching, folds = self._prepare(dataset)
        basis = self._basis(dataset, teaching)
        tried = self._history.trials(basis)
        names = self._names(list(folds))
        searches = {
            name: self._search(name, teaching.visible, fold, tried.get(name, ()))
            for name, fold in folds.items()
            if name in names or (name in tried and name not in self._config.settings)
        }
        n_before = sum(len(search.trials) for search in searches.values())
        self._take_turns({name: searches[name] for name in names}, basis, n_trials, deadline)
        return TuningResult(
            basis,
            list(_tuned(searches)),
            sum(len(search.trials) for search in searches.values()) - n_before,
            self._history.n_others(basis),
        )

    def _prepare(self, dataset: Dataset) -> tuple[Fold, dict[str, Fold]]:
        """The teaching fold, and for each retriever that training would use the one that judges it."""
        whole = hidden_fold(dataset, self._config)
        again = parted_repeats(whole, self._config)
        teaching = parted(whole, self._config).teach
        return teaching, tuning_folds(teaching, None if again is None else again.teach, self._config)

    def _take_turns(
        self, searches: dict[str, SettingsSearch], basis: TuningBasis, n_trials: int, deadline: float
    ) -> None:
        for turn in range(1, n_trials + 1):
            searches = {name: search for name, search in searches.items() if _in_time(search, deadline)}
            if not searches:
                return
            with self._progress.stage(f"turn {turn} of {n_trials}", len(searches)) as stage:
                for name, search in list(searches.items()):
                    trial = search.try_next() if _in_time(search, deadline) else None
                    if trial is None:
                        del searches[name]
                    else:
                        self._history.append(basis, name, trial)
                        stage.advance()

    def _basis(self, dataset: Dataset, teaching: Fold) -> TuningBasis:
        return TuningBasis(
            dataset=dataset.manifest.fingerprint,
            release=__version__,
            holdout=teaching.description,
            seed=self._config.seed,
            hide_from=self._config.hide_from,
            tune_listeners=self._config.tune_listeners,
            include_heard=self._config.include_heard,
        )

    def _names(self, usable: list[str]) -> list[str]:
        """What to search: what was asked for, else all that the settings leave open."""
        for name in self._asked:
            if name not in usable:
                raise BadInputError(
                    f"training would not use {name}: settings or data leave it out",
                    where="--retriever",
                    remedy=f"It would use {', '.join(usable)}",
                )
        names = list(self._asked) or [name for name in usable if name not in self._config.settings]
        if not names:
            raise BadInputError(
                "these fix every retriever, so there is nothing to search",
                where="settings",
                remedy="Leave them out, or name what to search with --retriever",
            )
        return names

    def _search(self, name: str, corpus: Corpus, fold: Fold, tried: Sequence[Trial]) -> SettingsSearch:
        found = retriever_class(name)
        return SettingsSearch(
            partial(new_retriever, name),
            found.search_space(corpus),
            fold,
            portfolio=found.portfolio,
            seed=self._config.seed,
            tried=tried,
        )


def _in_time(search: SettingsSearch, deadline: float) -> bool:
    """Whether a trial like the last one would end in time; the defaults are tried in any case."""
    return search.default_trial is None or time.monotonic() + search.trials[-1].seconds <= deadline


def _tuned(searches: Mapping[str, SettingsSearch]) -> Iterator[TunedRetriever]:
    for name, search in searches.items():
        if search.default_trial is not None:
            best = max(search.trials, key=lambda trial: trial.ndcg)
            yield TunedRetriever(name, search.default_trial, best, len(search.trials))


def _without_nulls(settings: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null; where a setting may be None, that is its default (a test holds retrievers to it)."""
    return {name: value for name, value in settings.items() if value is not None}
