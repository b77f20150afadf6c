"""Self-tuning of retrievers on the hidden events: the defaults, then known settings, then a search."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import polars as pl

from audotics.domain import FloatArray, IndexArray
from audotics.ranking.quality import validation_ndcg
from audotics.recommender.candidates import best_of
from audotics.retrieval.protocol import Choice, Portfolio, Range, Retriever, SearchSpace
from audotics.training.contest import paired_lead
from audotics.training.fold import Fold

TUNING_CUTOFF = 20
"""Tuning maximises NDCG at this list length."""

MAX_REPEATS = 50
"""So many proposals in a row that were tried before mean that nothing is left to try."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of settings tried.

    Args:
        settings: Values of the searched settings.
        ndcg: Mean NDCG@20 over the fold's queries.
        seconds: Fitting and judging.
        lead: Mean paired difference of NDCG@20 to the defaults, over the same queries.
        standard_error: Of that difference.
    """

    settings: dict[str, Any]
    ndcg: float
    seconds: float
    lead: float
    standard_error: float

    @property
    def gains(self) -> bool:
        """Whether it beats the defaults by more than one standard error of the paired difference.

        The rule by which training's contest chooses among rankers, too (Breiman et al. 1984).
        """
        return self.lead > self.standard_error


class SettingsSearch:
    """A search of one retriever's settings, one trial at a time; no settings are tried twice.

    The defaults are tried first, then the portfolio, then what a Tree-structured Parzen Estimator
    (Bergstra et al. 2011) proposes from what was tried so far.

    Args:
        build: Makes an unfitted retriever from settings that differ from its defaults.
        space: Where to look.
        fold: Fitted on ``fold.visible``, judged on its queries.
        portfolio: What to try after the defaults and before the search; a value outside ``space`` is
            replaced by the nearest in it, a setting that is not in it is left out.
        seed: Seed of the sampler.
        tried: Trials of an earlier search on the same fold, to go on from; those outside of ``space``
            are left out.
    """

    def __init__(
        self,
        build: Callable[[dict[str, Any]], Retriever],
        space: SearchSpace,
        fold: Fold,
        *,
        portfolio: Portfolio = (),
        seed: int,
        tried: Sequence[Trial] = (),
    ) -> None:
        self._build = build
        self._fold = fold
        self._distributions = {name: _distribution(where) for name, where in space.items()}
        defaults = build({}).config.model_dump()
        starts = [
            {name: _nearest(known.get(name, defaults[name]), where) for name, where in space.items()}
            for known in ({}, *portfolio)
        ]
        self.defaults: dict[str, Any] = starts[0]
        self.trials = [trial for trial in tried if _lies_in(trial.settings, space)]
        self._ndcg = {settings_key(trial.settings): trial.ndcg for trial in self.trials}
        self._reference: FloatArray | None = None
        # One that goes on must not propose again what it began with.
        self._study = self._new_study(starts, seed + len(self.trials))

    @property
    def default_trial(self) -> Trial | None:
        """The trial of the defaults; None before it, or where what was tried lost it."""
        return next((trial for trial in self.trials if trial.settings == self.defaults), None)

    def try_next(self) -> Trial | None:
        """Try one more set of settings; None where nothing is left to try."""
        proposed = self._propose()
        if proposed is None:
            return None
        asked, settings = proposed
        started = time.perf_counter()
        quality = self._quality(settings)
        seconds = time.perf_counter() - started
        if self._reference is None:
            # A search that goes on has only the mean of the defaults; the pairs take a fit.
            self._reference = quality if settings == self.defaults else self._quality(self.defaults)
        lead, error = paired_lead(quality, self._reference)
        trial = Trial(settings, float(quality.mean()), seconds, lead, error)
        self._study.tell(asked, trial.ndcg)
        self._ndcg[settings_key(settings)] = trial.ndcg
        self.trials.append(trial)
        return trial

    def _new_study(self, starts: Sequence[Mapping[str, Any]], seed: int) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
        )
        for trial in self.trials:
            study.add_trial(
                optuna.trial.create_trial(
                    params=trial.settings, distributions=self._distributions, value=trial.ndcg
                )
            )
        for settings in starts:
            if settings_key(settings) not in self._ndcg:
                study.enqueue_trial(dict(settings), skip_if_exists=True)
        return study

    def _propose(self) -> tuple[optuna.Trial, dict[str, Any]] | None:
        for _ in range(MAX_REPEATS):
            asked = self._study.ask(self._distributions)
            known = self._ndcg.get(settings_key(asked.params))
            if known is None:
                return asked, asked.params
            # Told again, it costs nothing, and the sampler looks elsewhere.
            self._study.tell(asked, known)
        return None

    def _quality(self, settings: dict[str, Any]) -> FloatArray:
        return ndcg_on(self._build(settings).fit(self._fold.visible), self._fold)


def tune(
    build: Callable[[dict[str, Any]], Retriever],
    space: SearchSpace,
    fold: Fold,
    *,
    portfolio: Portfolio = (),
    n_trials: int,
    seconds: float,
    seed: int,
) -> list[Trial]:
    """Search the settings of one retriever within a time box; see `SettingsSearch`.

    Args:
        build: Makes an unfitted retriever from settings that differ from its defaults.
        space: Where to look.
        fold: Fitted on ``fold.visible``, judged on its queries.
        portfolio: What to try after the defaults and before the search.
        n_trials: Most settings tried, the defaults included.
        seconds: No trial starts that would probably end after this time.
        seed: Seed of the sampler.

    Returns:
        Trials in the order tried, the defaults first: at least one.
    """
    search = SettingsSearch(build, space, fold, portfolio=portfolio, seed=seed)
    started = time.perf_counter()
    for _ in range(max(1, n_trials if space else 1)):
        trial = search.try_next()
        if trial is None or time.perf_counter() - started + trial.seconds > seconds:
            break
    return search.trials


def chosen_trial(trials: Sequence[Trial]) -> Trial:
    """The best trial where it gains, else that of the defaults.

    The best of many trials is partly the luckiest, and sound defaults are seldom far off.

    Args:
        trials: The defaults first.
    """
    best = max(trials, key=lambda trial: trial.ndcg)
    return best if best.gains else trials[0]


def settings_key(settings: Mapping[str, Any]) -> str:
    """Equal for equal settings, also after a round trip through JSON."""
    return json.dumps(settings, sort_keys=True)


def ndcg_on(retriever: Retriever, fold: Fold) -> FloatArray:
    """NDCG of one fitted retriever's own list for each query ``[batch]``."""
    best = best_of(retriever, fold.batch, fold.allowed, TUNING_CUTOFF)
    played = fold.hidden.filter("play")
    counts = np.bincount(played["row"].to_numpy(), minlength=fold.batch.size)
    in_order = np.broadcast_to(-np.arange(best.shape[1], dtype=np.float32), best.shape)
    return validation_ndcg(in_order, _hits(best, played, fold.corpus.n_tracks), TUNING_CUTOFF, counts)


def _hits(best: IndexArray, played: pl.DataFrame, n_tracks: int) -> FloatArray:
    answers = np.sort(played["row"].to_numpy().astype(np.int64) * n_tracks + played["track_index"].to_numpy())
    asked = np.arange(len(best), dtype=np.int64)[:, None] * n_tracks + best
    return (np.isin(asked, answers) & (best >= 0)).astype(np.float32)


def _nearest(value: Any, where: Choice | Range) -> Any:
    """The value itself where it can be chosen, else the end of the space nearest to it."""
    if isinstance(where, Range):
        return min(max(value, where.low), where.high)
    return value if value in where.values else where.values[-1]


def _lies_in(settings: Mapping[str, Any], space: SearchSpace) -> bool:
    """Whether the settings are values for exactly what the space searches."""
    return set(settings) == set(space) and all(
        settings[name] in where.values
        if isinstance(where, Choice)
        else isinstance(settings[name], int | float) and where.low <= settings[name] <= where.high
        for name, where in space.items()
    )


def _distribution(where: Choice | Range) -> optuna.distributions.BaseDistribution:
    if isinstance(where, Choice):
        return optuna.distributions.CategoricalDistribution(where.values)
    return optuna.distributions.FloatDistribution(where.low, where.high, log=where.log)
