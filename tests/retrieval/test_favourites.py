from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import build_corpus
from audotics.data.interactions import Interactions
from audotics.domain import FloatArray
from audotics.retrieval.favourites import Favourites, FavouritesConfig
from audotics.retrieval.protocol import Evidence, Explanation
from contract.planted import events_table, no_users, planted_tracks
from contract.retriever_contract import asking, planted_corpus


def fondness(history: list[int], **settings: float) -> FloatArray:
    retriever = Favourites(FavouritesConfig(**settings)).fit(planted_corpus())
    return retriever.score(asking(Interactions.from_histories([history], planted_corpus().n_tracks)))[0]


def test_only_heard_tracks_score() -> None:
    assert np.flatnonzero(fondness([7, 3])).tolist() == [3, 7]


def test_played_more_often_scores_higher() -> None:
    scores = fondness([5, 5, 5, 9], half_life=1e6)
    assert scores[5] > scores[9]


def test_a_half_life_of_tracks_halves() -> None:
    scores = fondness([1, 2, 3], half_life=1.0, play_strength=0.0)
    np.testing.assert_allclose(scores[[1, 2, 3]], [0.25, 0.5, 1.0])


def test_without_order_nothing_fades() -> None:
    corpus = planted_corpus()
    retriever = Favourites(FavouritesConfig(half_life=1.0, play_strength=0.0)).fit(corpus)
    jumbled = replace(Interactions.from_histories([[1, 2, 3]], corpus.n_tracks), ordered=False)
    assert retriever.score(asking(jumbled))[0, [1, 2, 3]].tolist() == [1.0, 1.0, 1.0]


def test_recency_is_counted_in_each_history_apart() -> None:
    corpus = planted_corpus()
    retriever = Favourites(FavouritesConfig(half_life=1.0, play_strength=0.0)).fit(corpus)
    batch = asking(Interactions.from_histories([[1, 2], [3], [4, 5, 6]], corpus.n_tracks))
    scores = retriever.score(batch)
    assert [scores[0, 2], scores[1, 3], scores[2, 6]] == [1.0, 1.0, 1.0]
    assert [scores[0, 1], scores[2, 4]] == [0.5, 0.25]


def test_explains_heard_tracks_only() -> None:
    corpus = planted_corpus()
    batch = asking(Interactions.from_histories([[1, 2], [1, 2]], corpus.n_tracks))
    found = Favourites().fit(corpus).explain(batch, np.array([2, 8], np.int32))
    assert found == [Explanation(Evidence.HEARD, 2), None]


@pytest.mark.parametrize(("plays", "applies"), [([1.0, 1.0], False), ([1.0, 4.0], True)])
def test_applies_where_somebody_plays_again(plays: list[float], applies: bool) -> None:
    rows = pl.DataFrame({"user_id": ["u", "u"], "track_id": ["t000", "t001"], "plays": plays})
    corpus = build_corpus(events_table(rows), planted_tracks(), no_users())
    assert Favourites.applies_to(corpus) is applies
