"""What training and tuning have in common: how events are hidden, who plays which role, what is tuned."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from audotics.data.corpus import Corpus
from audotics.data.dataset import Dataset
from audotics.domain import Mode
from audotics.errors import BadInputError
from audotics.retrieval.names import RETRIEVER_NAMES, retriever_class
from audotics.training.config import TrainConfig
from audotics.training.fold import CONTEXT_SHARE, Fold, Roles, hide

FAVOURITES = "favourites"

LEAST_LISTENERS = 10
"""With fewer listeners who have something hidden nothing can be learned and judged."""

TUNING_PAIRS = 400_000
"""Listener-track pairs beyond which retrievers are tuned on a sample of the listeners."""


def hidden_fold(dataset: Dataset, config: TrainConfig, since: datetime | None = None) -> Fold:
    """All of a Dataset, part of its events hidden as the settings say.

    Args:
        dataset: The data.
        config: Settings of the run.
        since: Hide what happened from this moment on instead.

    Raises:
        BadInputError: There is too little data to hold anything out.
    """
    fold = hide(
        dataset.events().collect(),
        dataset.tracks(),
        dataset.users(),
        way=config.split,
        since=since,
        most_listeners=config.hide_from,
        seed=config.seed,
        include_heard=config.include_heard,
    )
    if fold.batch.size < LEAST_LISTENERS:
        raise BadInputError(
            f"only {fold.batch.size} listeners have tracks that can be held out",
            where=str(dataset.path),
            remedy=f"Training needs at least {LEAST_LISTENERS} listeners with five tracks or more each",
        )
    return fold


def parted(fold: Fold, config: TrainConfig) -> Roles[Fold]:
    """The listeners by role.

    Rankers learn queries with and without time, device and country; they are chosen and judged as lists
    are asked for offline, without.
    """
    teach, stop, choose, judge = (fold.take(rows) for rows in fold.roles(config.seed, config.hide_from))
    untold = 1 - CONTEXT_SHARE
    return Roles(
        teach.without_context(untold, config.seed),
        stop.without_context(untold, config.seed),
        choose.without_context(1.0, config.seed),
        judge.without_context(1.0, config.seed),
    )


def parted_repeats(fold: Fold, config: TrainConfig) -> Roles[Fold] | None:
    """The listeners by role as they ask for heard tracks; None where too few play any again."""
    if fold.mode is not Mode.DISCOVER:
        return None
    again = fold.asking_for_repeats()
    return parted(again, config) if again.batch.size >= LEAST_LISTENERS else None


def tuning_folds(teaching: Fold, again: Fold | None, config: TrainConfig) -> dict[str, Fold]:
    """For each retriever, in the order of tuning, the queries that judge its settings.

    As many listeners and pairs as that needs, of those that teach. Favourites, who propose nothing but heard
    tracks, are judged by what was played ``again``, and left out where nothing is.
    """
    repeats = again is not None or teaching.mode is not Mode.DISCOVER
    names = _retriever_names(teaching.visible, config, repeats=repeats)
    few = _few(teaching, config)
    return {name: _few(again, config) if name == FAVOURITES and again is not None else few for name in names}


def _retriever_names(corpus: Corpus, config: TrainConfig, *, repeats: bool) -> list[str]:
    if config.retrievers:
        return list(config.retrievers)
    useful = [name for name in RETRIEVER_NAMES if name != FAVOURITES or repeats]
    return [name for name in useful if retriever_class(name).applies_to(corpus)]


def _few(fold: Fold, config: TrainConfig) -> Fold:
    most = min(config.tune_listeners, fold.batch.size)
    return fold.take(np.arange(most, dtype=np.int32)).thinned(TUNING_PAIRS, config.seed)
