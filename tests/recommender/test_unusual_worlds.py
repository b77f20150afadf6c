"""Recommenders over data that is small, bare or oddly named."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.queries import QueryBatch
from audotics.data.schema import TRACKS
from audotics.domain import Mode, Query
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.recommender import bundle
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever
from contract.planted import (
    GENRES,
    completed,
    events_table,
    genre_of,
    no_users,
    planted_events,
    planted_tracks,
)

SMALL = ("favourites", "item-knn", "popularity")


def no_catalogue() -> pl.DataFrame:
    return pl.DataFrame(schema=TRACKS)


def recommender_of(corpus: Corpus, names: tuple[str, ...]) -> Recommender:
    """A recommender of the mean opinion of the named retrievers."""
    generator = CandidateGenerator([new_retriever(name, {}).fit(corpus) for name in names], 20)
    everyone = QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))
    everything = Allowed((Mode.MIX,) * everyone.size, (np.zeros(0, np.int32),) * everyone.size)
    assembler = FeatureAssembler.fit(corpus, names)
    unscaled = assembler.assemble(everyone, generator.generate(everyone, everything))
    assembler = assembler.scaled(unscaled)
    inputs = assembler.assemble(everyone, generator.generate(everyone, everything))
    labels = np.zeros((*inputs.track_index.shape, 1), np.float32)
    examples = RankingExamples(inputs, labels, ("play",))
    return Recommender(
        users=corpus.users,
        tracks=corpus.tracks,
        histories=corpus.interactions,
        track_table=corpus.track_table,
        unheard=Branch(generator, assembler, MeanRanker().fit(examples, examples)),
    )


def of_pairs(*pairs: tuple[str, str], tracks: pl.DataFrame | None = None) -> Corpus:
    events = events_table(pl.DataFrame(pairs, schema=["user_id", "track_id"], orient="row"))
    return build_corpus(events, no_catalogue() if tracks is None else tracks, no_users())


@pytest.fixture(scope="module")
def uncatalogued() -> Recommender:
    corpus = build_corpus(planted_events(), no_catalogue(), no_users())
    return recommender_of(corpus, ("item-knn", "rp3beta"))


@pytest.fixture(scope="module")
def numbered() -> Recommender:
    """The planted listeners and tracks under numbers, as sets of numbers name them."""
    events = planted_events().with_columns(
        pl.col("user_id").str.slice(1).str.to_integer().cast(pl.String),
        pl.col("track_id").str.slice(1).str.to_integer().cast(pl.String),
    )
    return recommender_of(build_corpus(events, no_catalogue(), no_users()), ("item-knn", "rp3beta"))


@pytest.fixture(scope="module")
def mixed() -> Recommender:
    corpus = build_corpus(planted_events(), planted_tracks(), no_users())
    return recommender_of(corpus, (*SMALL, "content"))


@pytest.fixture(scope="module")
def by_content() -> Recommender:
    corpus = build_corpus(planted_events(), planted_tracks(), no_users())
    return recommender_of(corpus, ("content",))


def heard_by(recommender: Recommender, user_id: str) -> set[str]:
    row = recommender.histories.rows(recommender.users.indices([user_id]))
    return {recommender.tracks.ids[track] for track in row.track_index}


def test_without_a_catalogue_tracks_go_by_their_ids(uncatalogued: Recommender) -> None:
    (slate,) = uncatalogued.recommend([Query("u000", k=10)])
    assert len(slate.track_ids) == 10
    caused = [reason for reason in slate.reasons if reason.startswith("because you play ")]
    assert caused
    named = {reason.removeprefix("because you play ") for reason in caused}
    assert named <= heard_by(uncatalogued, "u000")


def test_taste_is_found_without_a_catalogue(uncatalogued: Recommender) -> None:
    slates = uncatalogued.recommend([Query(f"u{user:03d}", k=5) for user in range(30)])
    shares = [
        np.mean([genre_of(track) == GENRES[user % 3] for track in slate.track_ids])
        for user, slate in enumerate(slates)
    ]
    assert np.mean(shares) > 0.8


def test_what_has_no_catalogue_is_saved_and_loaded(uncatalogued: Recommender, tmp_path: Path) -> None:
    bundle.save(uncatalogued, tmp_path)
    loaded = bundle.load(tmp_path, "v1")
    assert loaded.model_version == "v1"
    queries = [Query("u003", k=7), Query(history=("t001", "t002"), k=7), Query()]
    for before, after in zip(uncatalogued.recommend(queries), loaded.recommend(queries), strict=True):
        assert before.track_ids == after.track_ids
        assert before.reasons == after.reasons
        np.testing.assert_array_equal(before.scores, after.scores)


def test_numbers_stay_the_text_they_are(numbered: Recommender) -> None:
    # In the order of text, so that "10" stands before "9": an index is no id.
    assert numbered.users.ids[:4] == ("0", "1", "10", "11")
    (slate,) = numbered.recommend([Query("9", k=8)])
    assert slate.user_id == "9"
    assert not heard_by(numbered, "9") & set(slate.track_ids)
    assert [int(track) // 30 for track in slate.track_ids].count(0) >= 6


@pytest.mark.parametrize("user_id", ["09", "9.0", " 9", "9 ", "+9", "-1", "9e0", "\u0669"])
def test_a_number_written_otherwise_is_another_listener(numbered: Recommender, user_id: str) -> None:
    stranger, nobody = numbered.recommend([Query(user_id, k=8), Query(k=8)])
    assert stranger.user_id == user_id
    assert stranger.track_ids == nobody.track_ids


def test_an_index_is_not_taken_for_an_id(numbered: Recommender) -> None:
    batch, _ = numbered.encode([Query("9"), Query("2"), Query("90")])
    assert batch.user_index.tolist() == [numbered.users.ids.index("9"), numbered.users.ids.index("2"), -1]


def test_the_table_of_lists_keeps_numbers_as_text(numbered: Recommender) -> None:
    table = BatchProcessor(numbered).table(["10", "9", "010"], 3, Mode.DISCOVER)
    assert table.schema["user_id"] == table.schema["track_id"] == pl.String
    assert table["user_id"].unique(maintain_order=True).to_list() == ["10", "9", "010"]
    for user_id in ("10", "9"):
        (slate,) = numbered.recommend([Query(user_id, k=3)])
        assert tuple(table.filter(pl.col("user_id") == user_id)["track_id"]) == slate.track_ids


@pytest.mark.parametrize("names", [("popularity",), SMALL])
def test_one_listener_of_one_track(names: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny = recommender_of(of_pairs(("u", "t")), names)
        queries = [Query("u", mode=mode) for mode in (Mode.DISCOVER, Mode.FAMILIAR, Mode.MIX)]
        new, old, mixed = tiny.recommend(queries)
    assert new.track_ids == new.reasons == new.sources == ()
    assert new.scores.shape == (0,)
    assert old.track_ids == mixed.track_ids == ("t",)
    assert np.isfinite(old.scores).all()


def test_a_track_for_each_listener() -> None:
    lonely = recommender_of(of_pairs(*((f"u{i}", f"t{i}") for i in range(5))), SMALL)
    for number, slate in enumerate(lonely.recommend([Query(f"u{i}", k=10) for i in range(5)])):
        assert set(slate.track_ids) == {f"t{i}" for i in range(5)} - {f"t{number}"}
        assert len(slate.reasons) == 4


def test_a_track_for_all_listeners() -> None:
    one_hit = recommender_of(of_pairs(*((f"u{i}", "hit") for i in range(4)), ("u0", "b side")), SMALL)
    first, other = one_hit.recommend([Query("u0"), Query("u1")])
    assert first.track_ids == ()
    assert other.track_ids == ("b side",)


def test_no_slate_is_a_table_without_rows() -> None:
    tiny = recommender_of(of_pairs(("u", "t")), ("popularity",))
    table = BatchProcessor(tiny).table(["u", "stranger"], 5, Mode.DISCOVER)
    assert table.select("user_id", "track_id", "rank").rows() == [("stranger", "t", 1)]
    assert BatchProcessor(tiny).table(["u"], 5, Mode.DISCOVER).schema == table.schema


def test_everything_excluded_leaves_nothing(mixed: Recommender) -> None:
    (slate,) = mixed.recommend([Query("u000", exclude=mixed.tracks.ids, mode=Mode.MIX)])
    assert slate.track_ids == ()


def test_a_catalogue_of_tracks_that_nobody_played_can_be_recommended() -> None:
    tracks = completed(
        pl.DataFrame(
            {
                "track_id": ["old", "new", "other"],
                "artist_id": ["a", "a", "b"],
                "artist": ["Ann", "Ann", "Bob"],
                "genres": [["dub"], ["dub"], ["folk"]],
            }
        ),
        TRACKS,
    )
    corpus = of_pairs(("u", "old"), ("v", "old"), ("v", "other"), tracks=tracks)
    (slate,) = recommender_of(corpus, ("content",)).recommend([Query("u", k=1)])
    assert slate.track_ids == ("new",)
    assert slate.reasons[0] in {"new from Ann", "more dub"}


def test_terms_are_named_as_the_reason(by_content: Recommender) -> None:
    genres = {track: genre_of(track) for track in by_content.tracks.ids}
    artists = dict(by_content.track_table.select("track_id", "artist").iter_rows())
    slates = by_content.recommend([Query(f"u{user:03d}", k=6) for user in range(20)])
    for slate in slates:
        heard = heard_by(by_content, slate.user_id or "")
        for track, reason in zip(slate.track_ids, slate.reasons, strict=True):
            assert reason in {
                f"more {genres[track]}",
                f"more from {artists[track]}",
                f"new from {artists[track]}",
            }
            term = reason.removeprefix("more ").removeprefix("new ").removeprefix("from ")
            assert term in {genres[one] for one in heard} | {artists[one] for one in heard}


def test_nobody_is_told_of_terms_they_never_heard(by_content: Recommender) -> None:
    (stranger,) = by_content.recommend([Query("stranger", k=6)])
    assert set(stranger.reasons) == {"something new to try"}


@pytest.mark.parametrize("mode", list(Mode))
def test_the_table_of_lists_keeps_to_the_mode(mixed: Recommender, mode: Mode) -> None:
    users = [f"u{user:03d}" for user in range(15)]
    table = BatchProcessor(mixed).table(users, 8, mode)
    share = {
        user: np.mean([track in heard_by(mixed, user) for track in part["track_id"]])
        for user in users
        if (part := table.filter(pl.col("user_id") == user)).height
    }
    assert set(share) == set(users)
    if mode is Mode.DISCOVER:
        assert set(share.values()) == {0.0}
    elif mode is Mode.FAMILIAR:
        assert set(share.values()) == {1.0}
    else:
        assert max(share.values()) > 0


def test_a_familiar_slate_of_a_stranger_is_empty(mixed: Recommender) -> None:
    stranger, known = mixed.recommend(
        [Query("stranger", mode=Mode.FAMILIAR), Query("u000", mode=Mode.FAMILIAR)]
    )
    assert stranger.track_ids == ()
    assert len(known.track_ids) == 10
    assert set(known.reasons) >= {"you have played this"}
