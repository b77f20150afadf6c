"""Rows of an earlier vocabulary find their tracks again, new tracks start by content, fits get shorter."""

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.queries import QueryBatch
from audotics.data.schema import TRACKS
from audotics.data.vocabulary import Vocabulary
from audotics.retrieval.ials import IALS, WARM_SHARE, IALSConfig
from audotics.retrieval.warm_start import TrackRows, WarmStarting
from audotics.retrieval.weighting import play_scale, play_weights
from contract.planted import completed, genre_of, no_users, planted_events, planted_tracks


def newcomer(track_id: str, genre: str | None) -> pl.DataFrame:
    row = pl.DataFrame({"track_id": [track_id], "genres": [None if genre is None else [genre]]})
    return completed(row.cast({"genres": pl.List(pl.String)}), TRACKS)


@pytest.fixture(scope="module")
def earlier() -> Corpus:
    return build_corpus(planted_events(seed=1), planted_tracks(), no_users())


@pytest.fixture(scope="module")
def later() -> Corpus:
    """More events, and two tracks more, whose ids move everybody's place."""
    tracks = [newcomer("a-new", "bebop"), newcomer("a-silent", None), planted_tracks()]
    events = pl.concat([planted_events(seed=1), planted_events(n_plays=3, seed=2)])
    return build_corpus(events, pl.concat(tracks), no_users())


def test_known_tracks_keep_their_rows_wherever_they_stand(earlier: Corpus, later: Corpus):
    rows = np.random.default_rng(0).normal(size=(earlier.n_tracks, 3)).astype(np.float32)

    carried, told = TrackRows(earlier.tracks, later).carried(rows)

    for track in earlier.tracks.ids:
        np.testing.assert_array_equal(
            carried[later.tracks.index(track)], rows[earlier.tracks.index(track)], strict=True
        )
    assert told[later.tracks.indices(earlier.tracks.ids)].all()


def test_a_new_track_starts_among_those_of_its_kind_and_an_unknown_kind_tells_nothing(
    earlier: Corpus, later: Corpus
):
    genres = sorted({genre_of(track) for track in earlier.tracks.ids})
    rows = np.eye(3, dtype=np.float32)[[genres.index(genre_of(track)) for track in earlier.tracks.ids]]

    carried, told = TrackRows(earlier.tracks, later).carried(rows)

    new, silent = later.tracks.index("a-new"), later.tracks.index("a-silent")
    np.testing.assert_allclose(carried[new], np.eye(3)[genres.index("bebop")], atol=1e-6)
    assert told[new]
    assert not told[silent]
    assert not carried[silent].any()


def test_nothing_in_common_tells_nothing(later: Corpus):
    carried, told = TrackRows(Vocabulary(["x", "y"]), later).carried(np.ones((2, 4), np.float32))

    assert not told.any()
    assert not carried.any()


def loss(model: IALS, corpus: Corpus) -> float:
    """What iALS minimises, with every listener folded in, summed pair by pair."""
    config = model.config
    interactions = corpus.interactions
    everyone = QueryBatch.of_listeners(interactions, np.arange(corpus.n_users, dtype=np.int32))
    users, tracks = model.query_vectors(everyone), model.arrays()["track_factors"]
    n_tracks = np.bincount(interactions.track_index, minlength=corpus.n_tracks)
    warm = n_tracks > 0
    a0 = config.unobserved_ratio * interactions.n_pairs / (len(users) * warm.sum())
    ridge = config.regularization / (1 + config.unobserved_ratio)
    scores = users @ tracks.T
    weights = play_weights(interactions.plays, play_scale(interactions), config.play_strength)
    observed = scores[interactions.row_index, interactions.track_index]
    by_user = interactions.lengths + a0 * warm.sum()
    by_track = n_tracks + a0 * len(users)
    return float(
        np.sum(weights * np.square(1 - observed))
        + a0 * np.sum(np.square(scores))
        + ridge * np.sum(by_user * np.square(users).sum(axis=1))
        + ridge * np.sum((by_track * np.square(tracks).sum(axis=1))[warm])
    )


@pytest.mark.parametrize("rank", [8, 32])
def test_a_warm_start_gets_as_far_in_a_third_of_the_sweeps(earlier: Corpus, later: Corpus, rank: int):
    def settings(sweeps: int) -> IALSConfig:
        return IALSConfig(rank=rank, sweeps=sweeps)

    before = IALS(settings(12)).fit(earlier)
    warm = IALS(settings(12))
    assert isinstance(warm, WarmStarting)
    warm.start_from(before.arrays(), TrackRows(earlier.tracks, later))

    warm.fit(later)

    cold, short = IALS(settings(12)).fit(later), IALS(settings(round(12 * WARM_SHARE))).fit(later)
    assert loss(warm, later) <= loss(cold, later) * 1.002
    assert loss(warm, later) < loss(short, later), "not only because a third would do anyway"


def test_a_warm_start_counts_for_one_fit(earlier: Corpus, later: Corpus):
    before = IALS(IALSConfig(rank=8)).fit(earlier)
    model = IALS(IALSConfig(rank=8))
    model.start_from(before.arrays(), TrackRows(earlier.tracks, later))
    warm = model.fit(later).arrays()["track_factors"]

    again = model.fit(later).arrays()["track_factors"]

    np.testing.assert_array_equal(again, IALS(IALSConfig(rank=8)).fit(later).arrays()["track_factors"])
    assert not np.array_equal(warm, again)


@pytest.mark.parametrize("rank", [4, 16])
def test_ranks_may_differ(earlier: Corpus, later: Corpus, rank: int):
    before = IALS(IALSConfig(rank=8)).fit(earlier)
    model = IALS(IALSConfig(rank=rank))
    model.start_from(before.arrays(), TrackRows(earlier.tracks, later))

    factors = model.fit(later).arrays()["track_factors"]

    assert factors.shape == (later.n_tracks, rank)
    assert np.isfinite(factors).all()
    assert (np.abs(factors).sum(axis=0) > 0).all(), "no direction is dead"
