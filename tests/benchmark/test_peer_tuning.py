"""The search of settings."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.benchmark.jobs import ANSWERS, VISIBLE, load_answers, load_histories
from audotics.benchmark.peers.ease import DenseEASE
from audotics.benchmark.peers.popularity import Popularity
from audotics.benchmark.protocol import Resources
from audotics.benchmark.tuning import CUTOFF, search, validation_ndcg

ONE = Resources(threads=1, seed=5)


@pytest.fixture(scope="module")
def validation(material):
    visible = load_histories(material.folder / VISIBLE)
    return visible, load_answers(material.folder / ANSWERS, visible.n_tracks)


def run(peer, validation, **changes):
    asked = {"n_trials": 6, "seconds": 60.0, "include_heard": False} | changes
    return search(peer, *validation, ONE, **asked)


def test_the_defaults_come_first_and_every_trial_is_in_the_space(validation):
    trials = run(DenseEASE, validation)
    assert len(trials) == 6
    assert trials[0].settings == dict(DenseEASE.defaults)
    where = DenseEASE.space["l2"]
    assert all(where.low <= trial.settings["l2"] <= where.high for trial in trials)
    assert len({trial.settings["l2"] for trial in trials}) == 6


def test_the_figure_is_that_of_a_fresh_fit(validation):
    visible, asked = validation
    trial = run(DenseEASE, validation, n_trials=3)[-1]
    again = DenseEASE(trial.settings, ONE).fit(visible)
    assert validation_ndcg(again, asked, include_heard=False) == trial.ndcg > 0


def test_the_same_seed_searches_the_same_settings(validation):
    assert [trial.settings for trial in run(DenseEASE, validation)] == [
        trial.settings for trial in run(DenseEASE, validation)
    ]


def test_no_time_still_tries_the_defaults(validation):
    assert len(run(DenseEASE, validation, seconds=0.0)) == 1


def test_nothing_to_tune_is_one_trial(validation):
    trials = run(Popularity, validation)
    assert [trial.settings for trial in trials] == [{}]


def test_each_trial_is_told_at_once(validation):
    told = []
    trials = run(DenseEASE, validation, n_trials=3, on_trial=told.append)
    assert [len(found) for found in told] == [1, 2, 3]
    assert told[-1] == trials


def test_ndcg_against_the_obvious(validation):
    visible, (user_index, answers) = validation
    fitted = Popularity({}, ONE).fit(visible)
    lists = fitted.recommend(user_index, CUTOFF, include_heard=False)
    found = []
    for row, recommended in enumerate(lists.tolist()):
        hidden = set(answers.track_index[answers.indptr[row] : answers.indptr[row + 1]].tolist())
        gains = [1 / np.log2(place + 2) for place, track in enumerate(recommended) if track in hidden]
        ideal = [1 / np.log2(place + 2) for place in range(min(CUTOFF, len(hidden)))]
        found.append(sum(gains) / sum(ideal))
    assert validation_ndcg(fitted, (user_index, answers), include_heard=False) == pytest.approx(
        np.mean(found)
    )
