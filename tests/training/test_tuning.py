from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.schema import TRACKS
from audotics.ranking.quality import validation_ndcg
from audotics.retrieval import ials
from audotics.retrieval.ials import IALS
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever, retriever_class
from audotics.retrieval.protocol import Choice, Range, SearchSpace
from audotics.training.fold import Fold
from audotics.training.tuning import TUNING_CUTOFF, SettingsSearch, Trial, ndcg_on, tune
from contract.planted import events_table, no_users


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


def corpus_of(*rows: tuple[str, str, float, int | None]) -> Corpus:
    """Events of user, track, plays and position."""
    events = pl.DataFrame(rows, schema=["user_id", "track_id", "plays", "position"], orient="row")
    return build_corpus(events_table(events), pl.DataFrame(schema=TRACKS), no_users())


def test_settings_that_cannot_matter_are_not_searched() -> None:
    found = retriever_class("rp3beta")
    unordered = corpus_of(("u", "a", 1, None), ("u", "b", 1, None))
    idle = set(found.space) - set(found.search_space(unordered))
    assert idle == {"half_life", "play_strength", "history_strength"}
    ordered = corpus_of(("u", "a", 1, 0), ("u", "b", 2, 1))
    assert found.search_space(ordered) == dict(found.space)


def test_known_settings_are_tried_after_the_defaults_and_never_twice(fold: Fold) -> None:
    space = {"alpha": Range(0.2, 1.5), "n_neighbours": Choice((100, 200))}
    portfolio = ({"alpha": 0.9}, {"alpha": 0.9}, {"alpha": 5.0, "n_neighbours": 700, "beta": 0.1})
    trials = tune(
        partial(new_retriever, "rp3beta"), space, fold, portfolio=portfolio, n_trials=3, seconds=60, seed=0
    )
    assert [trial.settings for trial in trials] == [
        {"alpha": 0.5, "n_neighbours": 200},
        {"alpha": 0.9, "n_neighbours": 200},
        {"alpha": 1.5, "n_neighbours": 200},
    ]


def test_every_portfolio_lies_in_its_space() -> None:
    for name in RETRIEVER_NAMES:
        found = retriever_class(name)
        for known in found.portfolio:
            assert set(known) <= set(found.space)
            new_retriever(name, known)


def test_ranks_that_would_take_too_long_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of(("u", "a", 1, 0), ("u", "b", 2, 1))
    assert IALS.search_space(corpus)["rank"] == IALS.space["rank"]
    monkeypatch.setattr(ials, "MAX_FLOPS", 1.0)
    assert IALS.search_space(corpus)["rank"] == Choice((64,))


SMALL: SearchSpace = {"n_neighbours": Choice((100, 200, 500)), "beta": Choice((0.0, 0.25))}


def search(fold: Fold, space: SearchSpace, tried: Sequence[Trial] = ()) -> SettingsSearch:
    return SettingsSearch(partial(new_retriever, "rp3beta"), space, fold, seed=0, tried=tried)


def test_no_settings_are_tried_twice_until_none_are_left(fold: Fold) -> None:
    searching = search(fold, SMALL)
    while searching.try_next() is not None:
        assert len(searching.trials) <= 6
    assert len({json.dumps(trial.settings) for trial in searching.trials}) == len(searching.trials) == 6


def test_without_a_space_there_are_the_defaults_alone(fold: Fold) -> None:
    searching = search(fold, {})
    only = searching.try_next()
    assert only is searching.default_trial
    assert (only.settings, only.lead, only.standard_error) == ({}, 0.0, 0.0)
    assert searching.try_next() is None


def test_leads_are_paired_with_the_defaults(fold: Fold) -> None:
    searching = search(fold, {"alpha": Range(0.2, 1.5)})
    first, second = searching.try_next(), searching.try_next()
    assert first is not None and second is not None
    assert (first.lead, first.standard_error) == (0.0, 0.0)
    quality = [
        ndcg_on(new_retriever("rp3beta", trial.settings).fit(fold.visible), fold) for trial in (first, second)
    ]
    difference = (quality[1] - quality[0]).astype(np.float64)
    assert second.lead == pytest.approx(difference.mean())
    assert second.standard_error == pytest.approx(difference.std(ddof=1) / np.sqrt(fold.batch.size))
    assert second.standard_error > 0


def test_a_search_goes_on_from_what_was_tried(fold: Fold) -> None:
    space = {"alpha": Range(0.2, 1.5), "n_neighbours": Choice((100, 200))}
    earlier = search(fold, space)
    for _ in range(3):
        earlier.try_next()
    later = search(fold, space, earlier.trials)
    assert later.default_trial is earlier.trials[0]
    fourth = later.try_next()
    assert later.trials == [*earlier.trials, fourth]
    assert fourth is not None and fourth.settings not in [trial.settings for trial in earlier.trials]
    # The lead of a trial of the second search is paired with the same defaults.
    assert fourth.lead == pytest.approx(fourth.ndcg - earlier.trials[0].ndcg, abs=1e-6)
    assert fourth.standard_error > 0


def test_a_search_goes_on_with_what_stands_in_a_portfolio(fold: Fold) -> None:
    space = {"alpha": Range(0.2, 1.5)}
    known = tuple({"alpha": alpha} for alpha in (0.7, 0.8, 0.9))
    build = partial(new_retriever, "rp3beta")
    cut = SettingsSearch(build, space, fold, portfolio=known, seed=0)
    for _ in range(2):
        cut.try_next()
    resumed = SettingsSearch(build, space, fold, portfolio=known, seed=0, tried=cut.trials)
    for _ in range(2):
        resumed.try_next()
    assert [trial.settings["alpha"] for trial in resumed.trials] == [0.5, 0.7, 0.8, 0.9]


def test_a_search_that_goes_on_proposes_something_else(fold: Fold) -> None:
    space = {"alpha": Range(0.2, 1.5)}
    only = search(fold, space)
    only.try_next()
    first, second = search(fold, space, only.trials), search(fold, space)
    second.try_next()
    assert first.try_next() != second.try_next()


@pytest.mark.parametrize(
    "settings",
    [
        {"n_neighbours": 100},
        {"n_neighbours": 100, "beta": 0.25, "alpha": 0.5},
        {"n_neighbours": 300, "beta": 0.25},
        {"n_neighbours": 100, "beta": "0.25"},
    ],
)
def test_trials_that_the_space_does_not_hold_are_left_out(fold: Fold, settings: dict[str, object]) -> None:
    odd = Trial(settings, 0.9, 0.1, 0.5, 0.0)
    assert search(fold, SMALL, [odd]).trials == []
    between = {"n_neighbours": Choice((100, 200)), "beta": Range(0.3, 0.5)}
    assert search(fold, between, [odd]).trials == []
