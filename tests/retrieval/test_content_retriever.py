from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.schema import TRACKS
from audotics.domain import FloatArray
from audotics.features.terms import TermMatrix, content_terms
from audotics.retrieval import content, content_description, vector_index
from audotics.retrieval.content import ContentKNN, ContentKNNConfig
from audotics.retrieval.content_description import described_tracks
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.protocol import Evidence, Explanation
from contract.planted import completed, events_table, no_users
from contract.retriever_contract import asking, everyone, planted_corpus

LOUD_A, QUIET_A, LOUD_B, QUIET_B, BARE = range(5)


@pytest.fixture(scope="module")
def small() -> Corpus:
    """Two artists with a loud and a quiet track each, and one track without content that is played most."""
    rows = pl.DataFrame(
        {
            "track_id": ["t0", "t1", "t2", "t3", "t4"],
            "artist_id": ["a", "a", "b", "b", None],
            "artist": ["Ann", "Ann", "Bob", "Bob", None],
            "tags": [["loud"], ["quiet"], ["loud", "loud"], ["quiet"], None],
        }
    )
    tracks = completed(rows, TRACKS).with_columns(
        pl.Series("feature_energy", [0.9, 0.1, 0.8, 0.2, None], dtype=pl.Float64)
    )
    events = pl.DataFrame({"user_id": ["u", "v", "w"], "track_id": ["t4", "t4", "t0"]})
    return build_corpus(events_table(events), tracks, no_users())


def scores(corpus: Corpus, history: list[int], **settings: float) -> FloatArray:
    plain: dict[str, float] = dict.fromkeys(("artist", "album", "genre", "tag", "decade", "audio"), 0.0)
    config = ContentKNNConfig.model_validate(plain | {"popularity_power": 0.0} | settings)
    batch = asking(Interactions.from_histories([history], corpus.n_tracks))
    return ContentKNN(config).fit(corpus).score(batch)[0]


def test_cosine_of_one_kind_by_hand(small: Corpus) -> None:
    np.testing.assert_allclose(scores(small, [LOUD_A], artist=1.0), [1, 1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(scores(small, [LOUD_A], tag=2.0), [1, 0, 1, 0, 0], atol=1e-6)


def test_a_mixed_history_lies_between(small: Corpus) -> None:
    half = np.sqrt(0.5)
    found = scores(small, [LOUD_A, QUIET_B], artist=1.0)
    np.testing.assert_allclose(found, [half, half, half, half, 0], atol=1e-6)


def test_kinds_are_averaged_by_their_weights(small: Corpus) -> None:
    found = scores(small, [LOUD_A], artist=3.0, tag=1.0)
    np.testing.assert_allclose(found, [1.0, 0.75, 0.25, 0.0, 0.0], atol=1e-6)


def test_kinds_that_the_catalogue_lacks_take_no_share(small: Corpus) -> None:
    np.testing.assert_allclose(
        scores(small, [LOUD_A], artist=1.0, genre=5.0), scores(small, [LOUD_A], artist=1.0)
    )


def test_audio_prefers_what_sounds_alike(small: Corpus) -> None:
    found = scores(small, [LOUD_A], audio=1.0)
    assert found[LOUD_B] == pytest.approx(1.0, abs=1e-5)
    assert found[QUIET_A] == pytest.approx(-1.0, abs=1e-5)
    assert found[BARE] == 0.0


def test_popularity_orders_equal_content(small: Corpus) -> None:
    found = scores(small, [QUIET_A], artist=1.0, popularity_power=0.5)
    # t0 has one listener, t1 none, the most popular track two.
    np.testing.assert_allclose(found[[LOUD_A, QUIET_A]], [np.sqrt(2 / 3), np.sqrt(1 / 3)], rtol=1e-6)


def test_cold_tracks_are_reached() -> None:
    corpus = planted_corpus()
    cold = 2
    part = corpus.keep(corpus.events["track_index"].to_numpy() != cold)
    batch = asking(Interactions.from_histories([[0, 1]], part.n_tracks))
    found = ContentKNN().fit(part).score(batch)[0]
    # It is of the same artist as the whole history: it stands before all warm tracks of other artists.
    assert found[cold] > found[3:].max()


def test_the_strongest_shared_term_is_named(small: Corpus) -> None:
    batch = asking(Interactions.from_histories([[LOUD_A]] * 3, small.n_tracks))
    retriever = ContentKNN(ContentKNNConfig(artist=1.0, tag=0.5, audio=0.0)).fit(small)
    same_artist, same_tag, nothing = retriever.explain(batch, np.array([QUIET_A, LOUD_B, QUIET_B], np.int32))
    assert same_artist == Explanation(Evidence.TERM, term="Ann")
    assert same_tag == Explanation(Evidence.TERM, term="loud")
    assert nothing is None


def test_a_kind_without_weight_is_never_the_reason(small: Corpus) -> None:
    batch = asking(Interactions.from_histories([[LOUD_A]], small.n_tracks))
    retriever = ContentKNN(ContentKNNConfig(artist=0.0, tag=1.0, audio=0.0)).fit(small)
    assert retriever.explain(batch, np.array([QUIET_A], np.int32)) == [None]
    (tagged,) = retriever.explain(batch, np.array([LOUD_B], np.int32))
    assert tagged == Explanation(Evidence.TERM, term="loud")


def test_sound_is_the_reason_where_no_term_is_shared(small: Corpus) -> None:
    batch = asking(Interactions.from_histories([[QUIET_A, LOUD_A]], small.n_tracks))
    retriever = ContentKNN(ContentKNNConfig(artist=0.0, tag=0.0, audio=1.0)).fit(small)
    assert retriever.explain(batch, np.array([LOUD_B], np.int32)) == [Explanation(Evidence.TRACK, LOUD_A)]


def test_often_played_tracks_shape_the_profile(small: Corpus) -> None:
    found = scores(small, [LOUD_A, LOUD_A, LOUD_A, LOUD_A, QUIET_B], artist=1.0, history_strength=1.0)
    assert found[QUIET_A] > found[LOUD_B]


def test_a_catalogue_without_content_is_not_served(small: Corpus) -> None:
    bare = build_corpus(
        events_table(pl.DataFrame({"user_id": ["u"], "track_id": ["t0"]})),
        pl.DataFrame(schema=TRACKS),
        no_users(),
    )
    assert not ContentKNN.applies_to(bare)
    assert ContentKNN.applies_to(small)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[pl.DataFrame]:
    """The tables whose terms were worked out, with nothing remembered before."""
    monkeypatch.setattr(content_description, "_LAST_DESCRIBED", {})
    asked: list[pl.DataFrame] = []

    def watched(table: pl.DataFrame) -> TermMatrix:
        asked.append(table)
        return content_terms(table)

    monkeypatch.setattr(content_description, "content_terms", watched)
    return asked


def test_a_catalogue_is_described_once_for_all_settings(small: Corpus, described: list[pl.DataFrame]) -> None:
    part = small.keep(small.events["track_index"].to_numpy() != BARE)
    assert ContentKNN.applies_to(part)
    for corpus in (part, small, part):
        for artist in (0.1, 2.0):
            ContentKNN(ContentKNNConfig(artist=artist)).fit(corpus)
    assert len(described) == 1
    # What is learned of listeners is never remembered.
    assert ContentKNN().fit(part).arrays()["listeners"][BARE] == 0
    assert ContentKNN().fit(small).arrays()["listeners"][BARE] == 2


def test_another_catalogue_is_described_anew_and_only_the_last_is_kept(
    small: Corpus, described: list[pl.DataFrame]
) -> None:
    other = replace(small, track_table=small.track_table.with_columns(pl.lit("Cy").alias("artist")))
    first = ContentKNN().fit(small).arrays()
    second = ContentKNN().fit(other).arrays()
    assert len(content_description._LAST_DESCRIBED) == 1
    again = ContentKNN().fit(small).arrays()
    assert len(described) == 3
    assert not np.array_equal(first["name_bytes"], second["name_bytes"])
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_nothing_is_remembered_of_a_table_that_is_gone(described: list[pl.DataFrame]) -> None:
    table = pl.DataFrame({"track_id": ["a", "b"], "artist": ["Ann", "Ann"], "artist_id": ["x", "x"]})
    described_tracks(table)
    assert len(content_description._LAST_DESCRIBED) == 1
    described.clear()
    del table
    gc.collect()
    assert not content_description._LAST_DESCRIBED


def test_shared_arrays_cannot_be_changed(small: Corpus) -> None:
    with pytest.raises(ValueError, match="read-only"):
        ContentKNN().fit(small).arrays()["audio"][0] = 1.0


@pytest.mark.parametrize("least_share", [0.0, 1 / 500, 0.3])
def test_what_is_broad_changes_no_score(monkeypatch: pytest.MonkeyPatch, least_share: float) -> None:
    """All terms dense, most, or some: the parts add up to the same."""
    corpus = planted_corpus()
    batch = everyone(corpus)
    exact = ContentKNN().fit(corpus)
    monkeypatch.setattr(content, "LEAST_VECTORS", 10)
    monkeypatch.setattr(vector_index, "LEAST_VECTORS", 10)
    monkeypatch.setattr(vector_index, "JUDGED_BEST", 3)
    monkeypatch.setattr(vector_index, "LEAST_RECALL", 0.0)
    monkeypatch.setattr(vector_index, "CHOICES", ((2, corpus.n_tracks // 4), (1, corpus.n_tracks // 4)))
    monkeypatch.setattr(content_description, "LEAST_BROAD_SHARE", least_share)
    indexed = ContentKNN().fit(corpus)
    compact = indexed.compact_scores(batch)
    assert isinstance(compact, InnerProducts)
    np.testing.assert_allclose(compact.toarray(), exact.score(batch), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(indexed.score(batch), exact.score(batch), rtol=1e-4, atol=1e-6)
    again = ContentKNN.from_arrays(indexed.config.model_dump(), indexed.arrays())
    np.testing.assert_array_equal(again.score(batch), indexed.score(batch))
    explained = exact.explain(batch.part(0, 4), np.arange(4, dtype=np.int32))
    assert indexed.explain(batch.part(0, 4), np.arange(4, dtype=np.int32)) == explained


def test_a_catalogue_of_usual_size_is_compared_exactly() -> None:
    corpus = planted_corpus()
    fitted = ContentKNN().fit(corpus)
    assert not isinstance(fitted.compact_scores(everyone(corpus)), InnerProducts)
    assert not any(name.startswith(("index_", "broad_")) for name in fitted.arrays())
