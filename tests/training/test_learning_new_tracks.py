"""New releases: learned from tracks without a visible play and from disguised ones, found on the day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.protocol import HEADS, RankingExamples, RankingInputs
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.retrieval.names import new_retriever
from audotics.training import new_tracks as module
from audotics.training.fold import Fold, Roles, hide
from audotics.training.lists import ranking_examples
from audotics.training.new_tracks import learn_new_tracks
from contract.planted import GENRES, TRACKS_PER_GENRE, events_table, no_users, planted_tracks, track_id

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("item-knn", "popularity", "content")
RELEASED_LATE = tuple(range(2, 90, 9))
"""The third track of every third band comes out when three quarters of the plays are over."""


def events(n_users: int = 300, n_plays: int = 20) -> pl.DataFrame:
    """Listeners stay in their genre; what came out late is played at once."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(n_users):
        first = TRACKS_PER_GENRE * (user % len(GENRES))
        genre = np.arange(first, first + TRACKS_PER_GENRE)
        for play in range(n_plays):
            late = play >= 0.86 * n_plays
            out = genre[np.isin(genre, RELEASED_LATE)] if late and rng.random() < 0.5 else genre
            known = out if late else out[~np.isin(out, RELEASED_LATE)]
            at = START + timedelta(hours=6 * play, minutes=user)
            rows.append((f"u{user:03d}", track_id(int(rng.choice(known))), at))
    return events_table(pl.DataFrame(rows, ["user_id", "track_id", "timestamp"], orient="row"))


@pytest.fixture(scope="module")
def fold() -> Fold:
    return hide(events(), planted_tracks(), no_users(), seed=0, include_heard=False)


@pytest.fixture(scope="module")
def asked(fold: Fold) -> Roles[Fold]:
    return Roles(*(fold.take(rows) for rows in fold.roles(0, fold.batch.size)))


@pytest.fixture(scope="module")
def generator(fold: Fold) -> CandidateGenerator:
    return CandidateGenerator([new_retriever(name, {}).fit(fold.visible) for name in NAMES], 25)


@pytest.fixture(scope="module")
def assembler(fold: Fold, generator: CandidateGenerator) -> FeatureAssembler:
    plain = FeatureAssembler.fit(fold.visible, NAMES)
    return plain.scaled(ranking_examples(fold, generator, plain, HEADS[:1]).inputs)


@pytest.fixture(scope="module")
def learned(asked: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler) -> NewTracks:
    found = learn_new_tracks(asked, generator, assembler, 0)
    assert found is not None
    return found


def lists_of(
    fold: Fold, generator: CandidateGenerator, assembler: FeatureAssembler, new: NewTracks
) -> RankingExamples:
    return module._lists(fold, generator, assembler, new.stand_ins)


def test_tracks_without_a_visible_play_are_new(learned: NewTracks) -> None:
    assert learned.stand_ins.track_index.tolist() == list(RELEASED_LATE)


def test_who_plays_the_genre_has_the_better_odds(
    asked: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler, learned: NewTracks
) -> None:
    lists = lists_of(asked.judge, generator, assembler, learned)
    odds, played = learned.log_odds(lists.inputs), lists.labels[..., 0] > 0
    present = lists.inputs.present
    assert played.sum() > 10
    assert odds[played].mean() > odds[present & ~played].mean() + 1


def test_chances_add_up_to_about_the_plays_of_listeners_that_taught_nothing(
    asked: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler, learned: NewTracks
) -> None:
    lists = lists_of(asked.judge, generator, assembler, learned)
    expected = (1 / (1 + np.exp(-learned.log_odds(lists.inputs)[lists.inputs.present]))).sum()
    assert expected == pytest.approx((lists.labels[..., 0] > 0).sum(), rel=0.5)


def test_disguised_tracks_are_forgotten_by_histories_and_statistics(
    asked: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler
) -> None:
    found = module._disguised(asked, generator, assembler, 0)
    assert found is not None
    inputs = found[0].inputs
    names, present = inputs.feature_names, inputs.present
    shown = np.unique(inputs.track_index[present])
    played = set(asked.teach.visible.interactions.track_index.tolist())
    assert set(shown.tolist()) <= played
    assert not np.isin(inputs.recent, shown).any()
    cold = inputs.features[..., names.index("cold")][present]
    assert len(np.unique(cold)) == 1 and cold[0] > 0
    own = inputs.features[..., names.index("track_plays")][present]
    assert len(np.unique(own)) == 1
    heard = asked.teach.batch.histories
    for row in range(inputs.n_lists):
        theirs = heard.track_index[heard.indptr[row] : heard.indptr[row + 1]]
        assert not np.isin(theirs, inputs.track_index[row]).any()


def test_a_release_is_disguised_as_a_whole(fold: Fold) -> None:
    table = planted_tracks().with_columns(album_id=pl.lit("b") + (pl.int_range(90) // 2).cast(pl.String))
    with_albums = hide(events(), table, no_users(), seed=0, include_heard=False).visible
    assert len(np.unique(module._releases(with_albums))) == 45
    assert len(np.unique(module._releases(fold.visible))) == 30
    blank = table.with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("album_id", "artist_id", "artist")
    )
    alone = hide(events(), blank, no_users(), seed=0, include_heard=False).visible
    assert len(np.unique(module._releases(alone))) == 90


def test_thin_content_tells_nothing_of_new_tracks(fold: Fold, asked: Roles[Fold]) -> None:
    blank = planted_tracks().with_columns(
        pl.lit(None, pl.String).alias("artist_id"),
        pl.lit(None, pl.String).alias("artist"),
        pl.lit(None, pl.List(pl.String)).alias("genres"),
    )
    untold = hide(events(), blank, no_users(), seed=0, include_heard=False)
    roles = Roles(*(untold.take(rows) for rows in untold.roles(0, untold.batch.size)))
    names = NAMES[:2]
    generator = CandidateGenerator([new_retriever(name, {}).fit(untold.visible) for name in names], 25)
    plain = FeatureAssembler.fit(untold.visible, names)
    assembler = plain.scaled(ranking_examples(untold, generator, plain, HEADS[:1]).inputs)
    assert learn_new_tracks(roles, generator, assembler, 0) is None


def told(weight: float) -> LogisticRanker:
    ranker = LogisticRanker()
    ranker.feature_names_, ranker.weights_ = ("a:z",), np.array([weight], np.float32)
    return ranker


def examples_of(features: np.ndarray, played: np.ndarray) -> RankingExamples:
    inputs = RankingInputs(
        features[..., None].astype(np.float32),
        ("a:z",),
        np.zeros(features.shape, np.int32),
        np.zeros(len(features), np.int32),
        np.zeros((len(features), 0), np.float32),
        np.zeros((len(features), 0), np.int32),
    )
    return RankingExamples(inputs, played[..., None].astype(np.float32), ("play",))


def test_the_rate_of_truly_new_tracks_sets_the_level_and_not_the_slope() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 20))
    played = rng.random(features.shape) < 1 / (1 + np.exp(-(features - 5)))
    slope, intercept = module._at_the_rate_of((1.0, -3.0), told(1.0), examples_of(features, played))
    assert slope == 1.0
    assert intercept == pytest.approx(-5.0, abs=0.15)


def test_a_few_plays_move_the_level_little_and_nothing_moves_it_not_at_all() -> None:
    features = np.zeros((10, 10))
    few = module._at_the_rate_of((1.0, -3.0), told(1.0), examples_of(features, np.zeros((10, 10))))
    assert -4.0 < few[1] < -3.0
    nothing = np.zeros((10, 0))
    assert module._at_the_rate_of((1.0, -3.0), told(1.0), examples_of(nothing, nothing)) == (1.0, -3.0)
