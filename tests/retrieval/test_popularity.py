from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.data.schema import USERS
from audotics.retrieval.popularity import MAX_COUNTRIES, Popularity, PopularityConfig
from audotics.retrieval.protocol import Evidence
from contract.planted import completed, events_table, no_users, planted_tracks


def corpus_of(rows: dict[str, list[object]], users: pl.DataFrame | None = None) -> Corpus:
    """Events over the tracks a, b, c and d."""
    tracks = planted_tracks().head(4).with_columns(pl.Series("track_id", ["a", "b", "c", "d"]))
    return build_corpus(events_table(pl.DataFrame(rows)), tracks, no_users() if users is None else users)


def asked_from(*countries: str | None) -> QueryBatch:
    n = len(countries)
    empty = Interactions.from_histories([[]] * n, 4)
    return QueryBatch(empty, np.full(n, -1, np.int32), np.full(n, NO_TIME), (None,) * n, countries)


def shares(corpus: Corpus, *countries: str | None, **settings: float | None) -> np.ndarray:
    retriever = Popularity(PopularityConfig(**settings)).fit(corpus)
    return retriever.score(asked_from(*(countries or (None,))))


def test_shares_of_listeners_by_hand() -> None:
    corpus = corpus_of(
        {"user_id": ["u", "u", "v", "w"], "track_id": ["a", "b", "a", "a"], "plays": [1.0, 90.0, 1.0, 1.0]}
    )
    np.testing.assert_allclose(shares(corpus)[0], [0.75, 0.25, 0.0, 0.0])


def test_shares_of_plays_by_hand() -> None:
    corpus = corpus_of({"user_id": ["u", "u", "v"], "track_id": ["a", "b", "a"], "plays": [1.0, 6.0, 1.0]})
    np.testing.assert_allclose(shares(corpus, play_share=1.0)[0], [0.25, 0.75, 0.0, 0.0])


def test_a_half_life_halves() -> None:
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 15, 15)]
    corpus = corpus_of({"user_id": ["u", "u", "v"], "track_id": ["a", "b", "c"], "timestamp": days})
    np.testing.assert_allclose(shares(corpus, half_life_days=14.0)[0], [0.2, 0.4, 0.4, 0.0], rtol=1e-6)


def test_without_times_nothing_fades() -> None:
    corpus = corpus_of({"user_id": ["u", "u"], "track_id": ["a", "b"], "position": [0, 1]})
    np.testing.assert_allclose(shares(corpus, half_life_days=1.0)[0], [0.5, 0.5, 0.0, 0.0])


@pytest.fixture
def two_countries() -> Corpus:
    """Three plays of a in France, one of b in Peru."""
    return corpus_of(
        {
            "user_id": ["f", "g", "h", "p"],
            "track_id": ["a", "a", "a", "b"],
            "country": ["FR", "FR", "FR", "PE"],
        }
    )


def test_a_country_is_shrunk_to_the_world(two_countries: Corpus) -> None:
    world, france, peru = shares(two_countries, None, "FR", "PE", country_shrinkage=2.0)
    np.testing.assert_allclose(world, [0.75, 0.25, 0.0, 0.0])
    np.testing.assert_allclose(france, [(3 + 2 * 0.75) / 5, (0 + 2 * 0.25) / 5, 0.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(peru, [(0 + 2 * 0.75) / 3, (1 + 2 * 0.25) / 3, 0.0, 0.0], rtol=1e-6)


def test_without_shrinkage_a_country_hears_itself_only(two_countries: Corpus) -> None:
    (peru,) = shares(two_countries, "PE", country_shrinkage=0.0)
    np.testing.assert_allclose(peru, [0.0, 1.0, 0.0, 0.0])


def test_an_unknown_country_hears_the_world(two_countries: Corpus) -> None:
    world, unknown = shares(two_countries, None, "ZZ")
    assert np.array_equal(world, unknown)


def test_the_users_table_tells_the_country_where_events_do_not() -> None:
    users = completed(pl.DataFrame({"user_id": ["u", "v"], "country": ["PE", "FR"]}), USERS)
    rows = {"user_id": ["u", "v", "v"], "track_id": ["b", "a", "a"], "country": [None, "IT", "IT"]}
    corpus = corpus_of(rows, users)
    names = Popularity().fit(corpus).arrays()["countries"].tolist()
    # What v plays in Italy counts for Italy, whatever the table says.
    assert names == ["IT", "PE"]


def test_a_skip_makes_nothing_popular() -> None:
    rows = {"user_id": ["u", "v"], "track_id": ["a", "b"], "event": ["play", "skip"]}
    np.testing.assert_allclose(shares(corpus_of(rows))[0], [1.0, 0.0, 0.0, 0.0])


def test_popular_is_the_only_reason_and_only_for_played_tracks(two_countries: Corpus) -> None:
    retriever = Popularity().fit(two_countries)
    played, unplayed = retriever.explain(asked_from(None, None), np.array([0, 3], np.int32))
    assert played is not None
    assert played.evidence is Evidence.POPULAR
    assert unplayed is None


def test_only_the_countries_with_most_listeners_have_shares_of_their_own() -> None:
    # Two listeners in each of C00 to C31, one each in A and Z; those two hear b, all others a.
    homes = [f"C{n:02d}" for n in range(MAX_COUNTRIES) for _ in range(2)] + ["A", "Z"]
    corpus = corpus_of(
        {
            "user_id": [f"u{n}" for n in range(len(homes))],
            "track_id": ["a"] * (2 * MAX_COUNTRIES) + ["b", "b"],
            "country": list(homes),
        }
    )
    retriever = Popularity(PopularityConfig(country_shrinkage=0.0)).fit(corpus)
    assert retriever.arrays()["countries"].tolist() == sorted(set(homes) - {"A", "Z"})
    world, counted, first, last = retriever.score(asked_from(None, "C31", "A", "Z"))
    np.testing.assert_allclose(counted, [1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(world[:2], [64 / 66, 2 / 66], rtol=1e-6)
    assert np.array_equal(first, world)
    assert np.array_equal(last, world)


def test_equally_large_countries_are_taken_by_name() -> None:
    homes = [f"C{n:02d}" for n in reversed(range(MAX_COUNTRIES + 3))]
    users = [f"u{n}" for n in range(len(homes))]
    corpus = corpus_of({"user_id": users, "track_id": ["a"] * len(homes), "country": list(homes)})
    names = Popularity().fit(corpus).arrays()["countries"].tolist()
    assert names == sorted(homes)[:MAX_COUNTRIES]
