"""Self-tuning of retrievers on the hidden events, within a time box."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import polars as pl

from audotics.domain import FloatArray, IndexArray
from audotics.ranking.quality import validation_ndcg
from audotics.recommender.candidates import best_of
from audotics.retrieval.protocol import Choice, Portfolio, Range, Retriever, SearchSpace
from audotics.training.fold import Fold

TUNING_CUTOFF = 20
"""Tuning maximises NDCG at this list length."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of settings tried."""

    settings: dict[str, Any]
    ndcg: float
    seconds: float


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
    """Search the settings of one retriever; the defaults are always tried first.

    Args:
        build: Makes an unfitted retriever from settings that differ from its defaults.
        space: Where to look.
        fold: Fitted on ``fold.visible``, judged on its queries.
        portfolio: What to try after the defaults and before the search; settings outside ``space`` are
            left out.
        n_trials: Most settings tried, the defaults included.
        seconds: No trial starts after this time.
        seed: Seed of the sampler (Tree-structured Parzen Estimator, Bergstra et al. 2011).

    Returns:
        Trials in the order tried, at least one.
    """
    # At a lower level an interrupted trial is told with a traceback.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
    )
    defaults = build({}).config.model_dump()
    for known in ({}, *portfolio):
        settings = {name: _nearest(known.get(name, defaults[name]), where) for name, where in space.items()}
        study.enqueue_trial(settings, skip_if_exists=True)
    trials: list[Trial] = []

    def objective(trial: optuna.Trial) -> float:
        settings = {name: _suggest(trial, name, where) for name, where in space.items()}
        started = time.perf_counter()
        ndcg = float(ndcg_on(build(settings).fit(fold.visible), fold).mean())
        trials.append(Trial(settings, ndcg, time.perf_counter() - started))
        return ndcg

    started = time.perf_counter()
    for _ in range(max(1, n_trials if space else 1)):
        study.optimize(objective, n_trials=1)
        # A trial that would probably end after the time box does not start.
        if time.perf_counter() - started + trials[-1].seconds > seconds:
            break
    return trials


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


def _suggest(trial: optuna.Trial, name: str, where: Choice | Range) -> Any:
    if isinstance(where, Choice):
        return trial.suggest_categorical(name, where.values)
    return trial.suggest_float(name, where.low, where.high, log=where.log)
