"""Tracks that a version has never seen, laid over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.domain import Block, Context, Mode, Query, Reaction
from audotics.errors import BadInputError, DamagedError
from audotics.features.terms import content_terms
from audotics.ranking.config import RankingWorld
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import Ranker, RankingExamples
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.recommender.voices import Voices
from audotics.recommender.votes import by_votes
from audotics.retrieval import stand_ins
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever
from audotics.retrieval.stand_ins import ContentIndex, StandIns
from contract.planted import GENRES, no_users, planted_events, planted_tracks, planted_users

NAMES = ("popularity", "content", "item-knn", "ials")
N_KNOWN = 90
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

LIVE = pl.DataFrame(
    {
        "track_id": ["live-ambient", "live-bebop", "live-nothing"],
        "title": ["Mist", "Blow", "Silence"],
        "artist_id": ["a2", "a12", None],
        "artist": ["Band 2", "Band 12", None],
        "genres": [["ambient"], ["bebop"], None],
        "released": [date(2026, 11, 20), None, None],
    }
)
AMBIENT, BEBOP, NOTHING = (N_KNOWN + number for number in range(3))


def learned(
    corpus: Corpus, names: tuple[str, ...], settings: dict[str, dict[str, object]] | None = None
) -> tuple[CandidateGenerator, FeatureAssembler, RankingExamples]:
    retrievers = [new_retriever(name, (settings or {}).get(name, {})).fit(corpus) for name in names]
    generator = CandidateGenerator(retrievers, 20)
    everyone = QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))
    assembler = FeatureAssembler.fit(corpus, names)
    candidates = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    assembler = assembler.scaled(assembler.assemble(everyone, candidates))
    inputs = assembler.assemble(everyone, candidates)
    labels = np.zeros((*inputs.track_index.shape, 1), np.float32)
    labels[:, :5] = 1.0
    return generator, assembler, RankingExamples(inputs, labels, ("play",))


def version_of(
    corpus: Corpus,
    names: tuple[str, ...] = NAMES,
    ranker: Ranker | None = None,
    settings: dict[str, dict[str, object]] | None = None,
) -> Recommender:
    """A version of the planted world that places new tracks by what item-kNN lends them."""
    generator, assembler, examples = learned(corpus, names, settings)
    weigher = LogisticRanker()
    weigher.feature_names_ = assembler.names
    weigher.weights_ = np.array([name == "item-knn:z" for name in assembler.names], np.float32)
    nobody = StandIns(np.zeros(0, np.int32), sparse.csr_matrix(np.zeros((0, corpus.n_tracks), np.float32)))
    branch = Branch(
        generator,
        assembler,
        (ranker or MeanRanker()).fit(examples, examples),
        None,
        (1.0, -2.0),
        NewTracks(nobody, weigher, (1.0, -1.5)),
    )
    return Recommender(
        users=corpus.users,
        tracks=corpus.tracks,
        histories=corpus.interactions,
        track_table=corpus.track_table,
        unheard=branch,
    )


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(planted_events(), planted_tracks(), no_users())


@pytest.fixture(scope="module")
def version(corpus: Corpus) -> Recommender:
    return version_of(corpus)


@pytest.fixture(scope="module")
def live(version: Recommender) -> Recommender:
    return version.with_tracks(LIVE)


def everybody(version: Recommender, **wishes: object) -> list[Query]:
    return [Query(user_id=user_id, **wishes) for user_id in version.users.ids]  # type: ignore[arg-type]


def test_a_live_track_is_offered_to_those_who_play_its_like_and_to_nobody_else(live: Recommender) -> None:
    slates = live.recommend(everybody(live, k=10))
    homes = {"live-ambient": [], "live-bebop": []}
    for number, slate in enumerate(slates):
        assert "live-nothing" not in slate.track_ids
        for track_id in homes:
            if track_id in slate.track_ids:
                homes[track_id].append(GENRES[number % len(GENRES)])
    for track_id, genres in homes.items():
        assert len(genres) >= 20, track_id
        assert np.mean([genre == track_id.removeprefix("live-") for genre in genres]) > 0.9


def test_known_tracks_keep_their_order(version: Recommender, live: Recommender) -> None:
    """The candidates, their features, the ranker's order: live tracks only stand between them."""
    for mode in Mode:
        before = version.recommend(everybody(version, k=15, mode=mode))
        after = live.recommend(everybody(version, k=17, mode=mode))
        for old, new in zip(before, after, strict=True):
            known = [track_id for track_id in new.track_ids if not track_id.startswith("live-")]
            shared = min(len(old.track_ids), len(known))
            assert shared and tuple(known[:shared]) == old.track_ids[:shared]


def test_features_of_known_candidates_are_the_same_numbers(version: Recommender, live: Recommender) -> None:
    batch, allowed = version.encode(everybody(version))
    over, allowed_over = live.encode(everybody(version))
    plain, laid = version.unheard, live.unheard
    before = plain.assembler.assemble(batch, plain.generator.generate(batch, allowed))
    after = laid.assembler.assemble(over, laid.generator.generate(over, allowed_over))
    np.testing.assert_array_equal(before.track_index, after.track_index)
    np.testing.assert_array_equal(before.features, after.features)
    np.testing.assert_array_equal(before.recent, after.recent)


def test_a_version_is_not_changed_by_what_is_laid_over_it(corpus: Corpus) -> None:
    version = version_of(corpus)
    queries = everybody(version, k=10)
    before = version.recommend(queries)
    version.with_tracks(LIVE).recommend(queries)
    after = version.recommend(queries)
    for old, new in zip(before, after, strict=True):
        assert (old.track_ids, old.reasons, old.sources) == (new.track_ids, new.reasons, new.sources)
        np.testing.assert_array_equal(old.scores, new.scores)
    assert len(version.tracks) == N_KNOWN and "live-bebop" not in version.tracks


def test_features_of_live_tracks_are_those_that_training_would_give_them(
    corpus: Corpus, version: Recommender, live: Recommender
) -> None:
    """By the same artists, albums and terms: a catalogue that had the tracks says the same of them."""
    table = pl.concat([corpus.track_table, LIVE], how="diagonal")
    trained = build_corpus(planted_events(), table, no_users())
    fitted = FeatureAssembler.fit(trained, NAMES)
    batch, _ = live.encode(everybody(live)[:6])
    tracks = np.tile(np.array([AMBIENT, BEBOP, NOTHING], np.int32), (6, 1))
    ours = live.unheard.assembler.statistics.compute(batch, tracks)
    numbers = trained.tracks.indices(LIVE["track_id"].to_list())
    same = QueryBatch.of_listeners(trained.interactions, batch.user_index)
    theirs = fitted.statistics.compute(same, np.tile(numbers, (6, 1)))
    for place, name in enumerate(live.unheard.assembler.statistics.names):
        # Only the trained one has a release date in its catalogue, so it has features of age.
        np.testing.assert_allclose(
            ours[..., place], theirs[..., fitted.statistics.names.index(name)], atol=1e-6, err_msg=name
        )
    cosines = live.unheard.assembler.content.compute(batch, tracks)
    assert (cosines[:, :2].max(axis=(0, 1)) > 0).all()
    np.testing.assert_array_equal(cosines[:, 2], 0)


def test_terms_are_weighted_as_those_of_the_version(version: Recommender) -> None:
    again = planted_tracks()[10:13].with_columns(track_id=pl.col("track_id") + "-again")
    live = version.with_tracks(again)
    terms = live.unheard.assembler.content.terms
    rows = content_terms(version.track_table).matrix[10:13]
    assert (terms.matrix[N_KNOWN:] != rows).nnz == 0
    assert terms.matrix.shape[0] == N_KNOWN + 3


def reasons_of(live: Recommender, track_id: str) -> dict[str, list[str]]:
    """By the genre of the listener, the reasons for one track."""
    found: dict[str, list[str]] = {genre: [] for genre in GENRES}
    for number, slate in enumerate(live.recommend(everybody(live, k=30))):
        if track_id in slate.track_ids:
            home = GENRES[number % len(GENRES)]
            found[home].append(slate.reasons[slate.track_ids.index(track_id)])
    return found


def test_reasons_name_the_artist_or_the_genre(version: Recommender, live: Recommender) -> None:
    reasons = reasons_of(live, "live-bebop")["bebop"]
    assert set(reasons) == {"new from Band 12", "more bebop"}
    players = {
        user
        for user in range(90)
        if (version.catalogue.artist[version.histories.rows(np.array([user])).track_index] == 12).any()
    }
    assert players
    unknown_artist = LIVE[1:2].with_columns(artist_id=pl.lit("someone"), artist=pl.lit("Someone"))
    assert set(reasons_of(version.with_tracks(unknown_artist), "live-bebop")["bebop"]) == {"more bebop"}


def test_what_was_heard_live_is_not_offered_again(live: Recommender) -> None:
    query = Query(user_id="u001", k=30, context=Context(at=NOW))
    heard = {"u001": [Reaction("live-bebop", NOW, "play")]}
    assert "live-bebop" in live.recommend([query])[0].track_ids
    assert "live-bebop" not in live.recommend([query], heard)[0].track_ids
    disliked = {"u001": [Reaction("live-bebop", NOW, "dislike")]}
    assert "live-bebop" not in live.recommend([query], disliked)[0].track_ids
    batch, _ = live.encode([query], heard)
    assert BEBOP in batch.histories.track_index
    # Another track by the same artist: the play counts in the features of owners.
    plays = live.unheard.assembler.statistics.names.index("artist_plays")
    sibling = np.array([[36]], np.int32)
    before = live.unheard.assembler.statistics.compute(live.encode([query])[0], sibling)[0, 0, plays]
    assert live.unheard.assembler.statistics.compute(batch, sibling)[0, 0, plays] > before


@pytest.mark.parametrize(
    "wish",
    [
        {"exclude": ("live-bebop",)},
        {"blocked": (Block(track_id="live-bebop"),)},
        {"blocked": (Block(artist_id="a12"),)},
        {"blocked": (Block(artist_id="Band 12"),)},
    ],
    ids=["excluded", "blocked", "artist by id", "artist by name"],
)
def test_unwanted_live_tracks_stay_out(live: Recommender, wish: dict[str, object]) -> None:
    assert "live-bebop" in live.recommend([Query(user_id="u001", k=30)])[0].track_ids
    (slate,) = live.recommend([Query(user_id="u001", k=30, **wish)])  # type: ignore[arg-type]
    assert "live-bebop" not in slate.track_ids and len(slate.track_ids) == 30


def test_an_artist_known_by_live_tracks_alone_is_blocked_by_name(version: Recommender) -> None:
    rows = LIVE[1:2].with_columns(artist_id=pl.lit(None, dtype=pl.String), artist=pl.lit("Newcomers"))
    live = version.with_tracks(rows)
    assert live.catalogue.tracks_by(["newcomers"])[0].tolist() == [N_KNOWN]
    blocked = Query(user_id="u001", k=30, blocked=(Block(artist_id="newcomers"),))
    assert "live-bebop" not in live.recommend([blocked])[0].track_ids


def test_what_is_like_a_live_track_is_what_is_like_its_voices(live: Recommender) -> None:
    (slate,) = live.recommend([Query(history=("live-bebop",), k=10)])
    genres = live.track_table["genres"].to_list()
    homes = [genres[live.tracks.index(track_id)] for track_id in slate.track_ids]
    assert homes.count(["bebop"]) >= 9 and "live-bebop" not in slate.track_ids
    # Its own artist's tracks may appear: the listener has not heard them.
    assert {"t036", "t037", "t038"} & set(slate.track_ids)
    assert "goes with Blow by Band 12" in slate.reasons
    assert not any("Song" in reason for reason in slate.reasons)


def test_voices_take_a_play_in_the_place_of_a_live_track(live: Recommender) -> None:
    voices = live.unheard.generator.voices
    assert voices is not None
    np.testing.assert_allclose(voices.shares.sum(axis=1), [1, 1, 0], rtol=1e-6)
    assert (voices.track_index[1] // 3 == 12).all() and (voices.track_index[2] == -1).all()
    own = voices.track_index[1]
    rows = [[5, BEBOP, 7], [NOTHING], [int(own[0]), BEBOP], [4, 3]]
    batch = replace(
        live.encode([Query(history=())] * 4)[0], histories=Interactions.from_histories(rows, N_KNOWN + 3)
    )
    spoken = voices.spoken(batch).histories
    assert spoken.n_tracks == N_KNOWN and spoken.lengths.tolist() == [5, 0, 3, 2]
    assert spoken.track_index[0] == 5 and spoken.track_index[4] == 7
    assert set(spoken.track_index[1:4].tolist()) == set(own.tolist())
    np.testing.assert_allclose(np.add.reduceat(spoken.plays, [0, 5, 8]), [3, 2, 2], rtol=1e-6)
    assert spoken.track_index[-2:].tolist() == [4, 3]
    known = voices.known_only(batch).histories
    assert known.lengths.tolist() == [2, 0, 1, 2]


def test_histories_without_live_tracks_are_not_copied(live: Recommender) -> None:
    voices = live.unheard.generator.voices
    batch, _ = live.encode(everybody(live)[:3])
    assert voices is not None
    spoken = voices.spoken(batch).histories
    assert spoken.track_index is batch.histories.track_index and spoken.plays is batch.histories.plays


def test_voices_of_nobody() -> None:
    voices = Voices.of(sparse.csr_matrix(np.zeros((2, 5), np.float32)))
    assert voices.n_known == 5 and (voices.track_index == -1).all() and not voices.shares.any()


def test_without_a_way_to_new_tracks_live_ones_are_kept_and_not_offered(version: Recommender) -> None:
    plain = version.with_rules(version.rules)
    plain.unheard = version.unheard.without_new
    assert version.offers_new and not plain.offers_new
    live = plain.with_tracks(LIVE)
    before = plain.recommend(everybody(plain, k=20))
    for old, new in zip(before, live.recommend(everybody(plain, k=20)), strict=True):
        assert (old.track_ids, old.reasons) == (new.track_ids, new.reasons)
        np.testing.assert_array_equal(old.scores, new.scores)
    assert live.recommend([Query(history=("live-bebop",), k=5)])[0].track_ids


def test_live_tracks_take_the_place_of_earlier_ones(version: Recommender, live: Recommender) -> None:
    again = live.with_tracks(LIVE[:1])
    assert len(again.tracks) == N_KNOWN + 1 and again.tracks.index("live-bebop") == -1
    nothing = live.with_tracks(LIVE[:0])
    for old, new in zip(
        version.recommend(everybody(version)), nothing.recommend(everybody(version)), strict=True
    ):
        assert (old.track_ids, old.reasons) == (new.track_ids, new.reasons)


def test_stand_ins_found_once_are_kept(version: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[int] = []
    find = ContentIndex.stand_ins

    def counted(index: ContentIndex, rows: pl.DataFrame) -> sparse.csr_matrix:
        sought.append(rows.height)
        return find(index, rows)

    monkeypatch.setattr(ContentIndex, "stand_ins", counted)
    ground = version.with_rules(version.rules)
    ground.__dict__.pop("live_ground", None)
    first = ground.with_tracks(LIVE)
    changed = LIVE[[2, 1, 0]].with_columns(
        genres=pl.Series([["cumbia"], ["bebop"], ["ambient"]], dtype=pl.List(pl.String))
    )
    second = ground.with_tracks(changed)
    assert sought == [3, 1]
    ours, theirs = second.unheard.new, version.with_tracks(changed).unheard.new
    assert ours is not None and theirs is not None and first.unheard.new is not None
    assert (ours.stand_ins.shares != theirs.stand_ins.shares).nnz == 0
    np.testing.assert_array_equal(ours.stand_ins.track_index, [N_KNOWN, N_KNOWN + 1, N_KNOWN + 2])


def test_the_last_added_are_looked_after(version: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "MOST_NEW", 2)
    monkeypatch.setattr("audotics.recommender.live_tracks.MOST_NEW", 2)
    rows = pl.concat([LIVE[1:2].with_columns(track_id=pl.lit(f"live-{number}")) for number in range(4)])
    live = version.with_tracks(rows)
    assert live.unheard.new is not None
    assert live.unheard.new.stand_ins.track_index.tolist() == [N_KNOWN + 2, N_KNOWN + 3]
    shown = {track for slate in live.recommend(everybody(live, k=30)) for track in slate.track_ids}
    assert {"live-2", "live-3"} <= shown and not {"live-0", "live-1"} & shown


def test_new_tracks_of_the_version_stay_beside_live_ones(version: Recommender) -> None:
    events = planted_events().filter(pl.col("track_id") != "t035")
    corpus = build_corpus(events, planted_tracks(), no_users())
    with_new = version_of(corpus)
    assert with_new.unheard.new is not None
    with_new.unheard = replace(with_new.unheard, new=with_new.unheard.new.refitted(corpus))
    live = with_new.with_tracks(LIVE)
    assert live.unheard.new is not None
    assert live.unheard.new.stand_ins.track_index.tolist() == [35, AMBIENT, BEBOP]
    shown = {track for slate in live.recommend(everybody(live, k=20)) for track in slate.track_ids}
    assert {"t035", "live-ambient", "live-bebop"} <= shown


def test_known_or_repeated_ids_are_refused(version: Recommender) -> None:
    for rows in (LIVE.with_columns(track_id=pl.lit("t001")), LIVE[[0, 0]]):
        with pytest.raises(BadInputError, match="known to the version or stands twice"):
            version.with_tracks(rows)


def test_a_catalogue_of_other_terms_is_told(version: Recommender) -> None:
    broken = version.with_rules(version.rules)
    broken.track_table = broken.track_table.with_columns(genres=pl.lit(None, dtype=pl.List(pl.String)))
    broken.__dict__.pop("live_ground", None)
    with pytest.raises(DamagedError, match="other terms"):
        broken.with_tracks(LIVE)


@pytest.mark.parametrize(
    "rules",
    [
        {"diversity": 0.5},
        {"calibration": 0.5},
        {"artist_cap": 1, "album_cap": 1, "one_recording": True},
        {"order": "flow"},
        {"explore": 0.3},
        {"allow_explicit": False},
    ],
    ids=lambda rules: next(iter(rules)),
)
def test_rules_know_live_tracks(live: Recommender, rules: dict[str, object]) -> None:
    slates = live.recommend(everybody(live, k=10, rules=rules))
    assert any("live-bebop" in slate.track_ids for slate in slates)
    assert all(len(slate.track_ids) == 10 for slate in slates)


def test_a_known_recording_is_shown_once_under_either_id(version: Recommender) -> None:
    copy_of = planted_tracks()[36:37].with_columns(track_id=pl.lit("live-copy"))
    live = version.with_tracks(copy_of)
    for slate in live.recommend(everybody(live, k=40, rules={"one_recording": True})):
        assert not {"t036", "live-copy"} <= set(slate.track_ids)
    both = [{"t036", "live-copy"} <= set(slate.track_ids) for slate in live.recommend(everybody(live, k=40))]
    assert any(both)


# Every retriever and the deep ranker: none has a row for a live track.


@pytest.fixture(scope="module")
def whole() -> Recommender:
    """Every retriever there is over ordered plays, the deep ranker, and live tracks over them."""
    pytest.importorskip("tensorflow")
    from audotics.ranking.deep import DeepRanker
    from contract.deep_worlds import SMALL

    place = pl.int_range(pl.len(), dtype=pl.Int32).over("user_id")
    events = planted_events().with_columns(place.alias("position"))
    corpus = build_corpus(events, planted_tracks(), planted_users())
    settings: dict[str, dict[str, object]] = {
        "ials": {"rank": 8},
        "sequence": {"dim": 8, "length": 5, "n_epochs": 1},
    }
    content = np.zeros((corpus.n_tracks, 0), np.float32)
    quick = SMALL.model_copy(update={"epochs": 1, "pretraining_epochs": 1})
    ranker = DeepRanker(RankingWorld(corpus.n_users, content, corpus.interactions), quick)
    return version_of(corpus, RETRIEVER_NAMES, ranker, settings).with_tracks(LIVE)


@pytest.mark.parametrize("mode", list(Mode))
def test_no_retriever_and_no_ranker_is_asked_beyond_its_rows(whole: Recommender, mode: Mode) -> None:
    plays = [Reaction(track_id, NOW, "play") for track_id in LIVE["track_id"]]
    skips = [Reaction("live-bebop", NOW, "skip")]
    since = {"u001": plays, "u002": skips, "stranger": plays, "u004": [*plays, Reaction("t040", NOW, "play")]}
    queries = [
        *(Query(user_id=user_id, k=20, mode=mode, context=Context(at=NOW)) for user_id in (*since, "u005")),
        Query(history=("live-bebop", "t001"), k=20, mode=mode),
        Query(history=("live-nothing",), k=20, mode=mode),
        Query(artists=("Band 12",), k=20, mode=mode),
        Query(group=("u001", "stranger", "u005"), k=20, mode=mode),
    ]
    for recommender in (whole, by_votes(whole)):
        slates = recommender.recommend(queries, since)
        assert all(len(slate.reasons) == len(slate.track_ids) for slate in slates)
        if mode is not Mode.FAMILIAR:
            assert all(len(slate.track_ids) == 20 for slate in slates)


def test_each_retriever_proposes_what_it_proposes_without_live_tracks(whole: Recommender) -> None:
    plain = whole.with_tracks(LIVE[:0])
    queries = everybody(whole, k=15, mode=Mode.DISCOVER)
    before, allowed = plain.encode(queries)
    after, allowed_after = whole.encode(queries)
    old = plain.unheard.generator.generate(before, allowed)
    new = whole.unheard.generator.generate(after, allowed_after)
    np.testing.assert_array_equal(old.track_index, new.track_index)
    np.testing.assert_array_equal(old.scores, new.scores)
    np.testing.assert_array_equal(old.ranks, new.ranks)
