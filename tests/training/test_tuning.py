from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
import pytest

from audotics.data.interactions import Interactions
from audotics.ranking.quality import validation_ndcg
from audotics.retrieval.names import new_retriever, retriever_class
from audotics.retrieval.protocol import Choice
from audotics.training.fold import Fold
from audotics.training.tuning import TUNING_CUTOFF, ndcg_on, tune, useful_settings


def test_the_defaults_are_tried_first_and_the_best_is_found(fold: Fold) -> None:
    # One neighbour is nearly nothing to go by: tuning must move away from it.
    build = partial(new_retriever, "item-knn")
    space = {"n_neighbours": Choice((1, 60))}
    worst = tune(
        lambda settings: build({"n_neighbours": 1, **settings}), space, fold, n_trials=6, seconds=60, seed=0
    )
    assert worst[0].settings == {"n_neighbours": 1}
    assert max(worst, key=lambda trial: trial.ndcg).settings == {"n_neighbours": 60}


def test_a_seed_gives_the_same_trials_twice(fold: Fold) -> None:
    def run(seed: int) -> list[tuple[dict[str, object], float]]:
        space = retriever_class("rp3beta").space
        trials = tune(partial(new_retriever, "rp3beta"), space, fold, n_trials=4, seconds=60, seed=seed)
        return [(trial.settings, trial.ndcg) for trial in trials]

    assert run(1) == run(1)


def test_no_time_means_the_defaults_alone(fold: Fold) -> None:
    trials = tune(
        partial(new_retriever, "rp3beta"),
        retriever_class("rp3beta").space,
        fold,
        n_trials=50,
        seconds=0,
        seed=0,
    )
    assert len(trials) == 1


def test_quality_equals_a_plain_computation(fold: Fold) -> None:
    retriever = new_retriever("popularity", {}).fit(fold.visible)
    scores = retriever.score(fold.batch)
    scores[fold.allowed.mask(fold.batch)] = -np.inf
    labels = np.zeros_like(scores)
    played = fold.hidden.filter("play")
    labels[played["row"].to_numpy(), played["track_index"].to_numpy()] = 1
    expected = validation_ndcg(scores, labels, TUNING_CUTOFF)
    assert ndcg_on(retriever, fold) == pytest.approx(expected, abs=1e-6)


def test_settings_that_cannot_matter_are_not_searched() -> None:
    space = retriever_class("rp3beta").space
    unordered = Interactions.from_events(
        pl.DataFrame({"user_index": [0, 0], "track_index": [0, 1], "plays": [1.0, 1.0], "at": [0, 0]}),
        1,
        2,
        ordered=False,
    )
    assert set(space) - set(useful_settings(space, unordered)) == {
        "half_life",
        "play_strength",
        "history_strength",
    }
    ordered = Interactions.from_histories([[0, 1, 1]], n_tracks=2)
    assert useful_settings(space, ordered) == dict(space)
