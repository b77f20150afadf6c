"""A time-boxed search of a peer's settings on a validation part that is made like the test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import optuna

from audotics.benchmark.jobs import Trial
from audotics.benchmark.protocol import Peer, Resources
from audotics.data.interactions import Interactions
from audotics.domain import IndexArray
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.metrics import ranking_metrics
from audotics.retrieval.protocol import Choice, Range

CUTOFF = 20
"""Tuning maximises NDCG at this list length, as ours does."""


def search(
    peer: type[Peer],
    visible: Interactions,
    asked: tuple[IndexArray, Holdout],
    resources: Resources,
    *,
    n_trials: int,
    seconds: float,
    include_heard: bool,
    on_trial: Callable[[tuple[Trial, ...]], None] = lambda _: None,
) -> tuple[Trial, ...]:
    """Try settings until the trials or the seconds are used up; the defaults are always the first.

    Args:
        peer: The class.
        visible: What it is fitted on.
        asked: Rows of ``visible`` and their hidden tracks.
        resources: Threads; the seed is the sampler's too (Tree-structured Parzen Estimator).
        n_trials: Most settings tried, the defaults included.
        seconds: No trial that would probably end after this time starts.
        include_heard: Whether heard tracks may be recommended, as in the test.
        on_trial: Told of all trials after each one.

    Returns:
        The trials in their order, at least one.
    """
    study = _study(peer, resources.seed)
    trials: list[Trial] = []

    def objective(trial: optuna.Trial) -> float:
        found = {name: _suggest(trial, name, where) for name, where in peer.space.items()}
        settings = dict(peer.defaults) | found
        started = time.perf_counter()
        fitted = peer(settings, resources).fit(visible)
        ndcg = validation_ndcg(fitted, asked, include_heard=include_heard)
        trials.append(Trial(settings=settings, ndcg=ndcg, seconds=time.perf_counter() - started))
        on_trial(tuple(trials))
        return ndcg

    started = time.perf_counter()
    for _ in range(max(1, n_trials if peer.space else 1)):
        study.optimize(objective, n_trials=1)
        typical = sum(trial.seconds for trial in trials) / len(trials)
        if time.perf_counter() - started + typical > seconds:
            break
    return tuple(trials)


def _study(peer: type[Peer], seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({name: peer.defaults[name] for name in peer.space})
    return study


def validation_ndcg(peer: Peer, asked: tuple[IndexArray, Holdout], *, include_heard: bool) -> float:
    """Mean NDCG@20 of a fitted peer over the listeners that validation asks."""
    user_index, answers = asked
    lists = peer.recommend(user_index, CUTOFF, include_heard=include_heard)
    return float(ranking_metrics(lists, answers, [CUTOFF], ["ndcg"])[f"ndcg@{CUTOFF}"].mean())


def _suggest(trial: optuna.Trial, name: str, where: Choice | Range) -> Any:
    if isinstance(where, Choice):
        return trial.suggest_categorical(name, where.values)
    return trial.suggest_float(name, where.low, where.high, log=where.log)
