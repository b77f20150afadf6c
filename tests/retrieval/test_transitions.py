from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.retrieval.protocol import Evidence, Explanation
from audotics.retrieval.transitions import Transitions, TransitionsConfig
from contract.planted import events_table, no_users, planted_tracks
from contract.retriever_contract import asking, planted_corpus

A, B, C, D = range(4)
START = datetime(2026, 5, 1, 20, tzinfo=UTC)


def corpus_of(**columns: list[object]) -> Corpus:
    """Events over the tracks a, b, c and d."""
    tracks = planted_tracks().head(4).with_columns(pl.Series("track_id", ["a", "b", "c", "d"]))
    return build_corpus(events_table(pl.DataFrame(columns)), tracks, no_users())


def weights(corpus: Corpus, **settings: float) -> np.ndarray:
    plain: dict[str, float] = {"window": 1, "backward": 0.0, "popularity_power": 0.0}
    arrays = Transitions(TransitionsConfig.model_validate(plain | settings)).fit(corpus).arrays()
    parts = (arrays["weights"], arrays["indices"], arrays["indptr"])
    return sparse.csr_matrix(parts, shape=(4, 4)).toarray()


@pytest.fixture
def two_playlists() -> Corpus:
    """a b c and a b d, in rows that stand in no order."""
    return corpus_of(
        user_id=["p", "p", "p", "q", "q", "q"],
        track_id=["c", "a", "b", "d", "b", "a"],
        position=[2, 0, 1, 2, 1, 0],
    )


def test_shares_of_next_tracks_by_hand(two_playlists: Corpus) -> None:
    expected = np.zeros((4, 4))
    expected[A, B] = 1.0
    expected[B, [C, D]] = 0.5
    np.testing.assert_allclose(weights(two_playlists), expected)


def test_a_wider_window_counts_by_distance(two_playlists: Corpus) -> None:
    found = weights(two_playlists, window=2)
    # From a: b twice at distance 1, c and d once at distance 2.
    np.testing.assert_allclose(found[A], [0, 2 / 3, 0.5 / 3, 0.5 / 3], rtol=1e-6)


def test_backward_counts_what_came_before(two_playlists: Corpus) -> None:
    found = weights(two_playlists, backward=0.5)
    np.testing.assert_allclose(found[C], [0, 1.0, 0, 0])
    np.testing.assert_allclose(found[B], [1 / 3, 0, 1 / 3, 1 / 3], rtol=1e-6)


def test_popular_successors_are_damped(two_playlists: Corpus) -> None:
    found = weights(two_playlists, popularity_power=1.0)
    np.testing.assert_allclose(found[A, B], 0.5)
    np.testing.assert_allclose(found[B, C], 0.5)


def test_listeners_do_not_run_into_each_other(two_playlists: Corpus) -> None:
    assert weights(two_playlists)[C, A] == 0.0


def test_a_named_session_ends_a_chain() -> None:
    corpus = corpus_of(
        user_id=["u"] * 4,
        track_id=["a", "b", "c", "d"],
        position=[0, 1, 2, 3],
        session_id=["x", "x", "y", "y"],
    )
    found = weights(corpus)
    assert found[A, B] == 1.0
    assert found[C, D] == 1.0
    assert found[B, C] == 0.0


def test_an_hour_of_silence_ends_a_chain_without_names() -> None:
    times = [START, START + timedelta(minutes=59), START + timedelta(minutes=130)]
    found = weights(corpus_of(user_id=["u"] * 3, track_id=["a", "b", "c"], timestamp=times))
    assert found[A, B] == 1.0
    assert found[B, C] == 0.0


def test_a_repeat_leads_nowhere_and_a_skip_is_passed_over() -> None:
    corpus = corpus_of(
        user_id=["u"] * 4,
        track_id=["a", "a", "b", "c"],
        position=[0, 1, 2, 3],
        event=["play", "play", "skip", "play"],
    )
    found = weights(corpus)
    assert found[A, A] == 0.0
    assert found[A, C] == 1.0
    assert found[:, B].sum() == 0.0


def test_unknown_positions_tell_no_order() -> None:
    corpus = corpus_of(user_id=["u"] * 4, track_id=["a", "b", "c", "d"], position=[-1, -1, 5, 6])
    found = weights(corpus)
    assert found[C, D] == 1.0
    assert found.sum() == 1.0


def test_the_last_tracks_speak_loudest(two_playlists: Corpus) -> None:
    config = TransitionsConfig(window=1, backward=0.0, popularity_power=0.0, n_recent=2, decay=0.5)
    retriever = Transitions(config).fit(two_playlists)
    scores = retriever.score(asking(Interactions.from_histories([[A, B], [B, A], [A, B, D, C]], 4)))
    np.testing.assert_allclose(scores[0], [0, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(scores[1], [0, 1.0, 0.25, 0.25])
    assert not scores[2].any()


def test_explains_by_the_track_it_followed(two_playlists: Corpus) -> None:
    retriever = Transitions(TransitionsConfig(window=1, backward=0.0)).fit(two_playlists)
    batch = asking(Interactions.from_histories([[A, B], [A, B]], 4))
    assert retriever.explain(batch, np.array([C, A], np.int32)) == [Explanation(Evidence.TRACK, B), None]


def test_applies_to_ordered_data_only() -> None:
    assert Transitions.applies_to(planted_corpus())
    assert not Transitions.applies_to(planted_corpus(ordered=False))


def test_every_distance_of_the_window_adds_up() -> None:
    corpus = corpus_of(user_id=["u"] * 5, track_id=["a", "b", "a", "b", "c"], position=[0, 1, 2, 3, 4])
    # From a: b at the distances 1, 3 and 1; c at 4 and 2, of which the window of 3 holds the latter.
    found = weights(corpus, window=3)
    total = 1 + 1 / 3 + 1 + 1 / 2
    np.testing.assert_allclose(found[A], [0, (2 + 1 / 3) / total, (1 / 2) / total, 0], rtol=1e-6)
    # A window longer than the whole data ends where the data ends.
    np.testing.assert_allclose(weights(corpus, window=50), weights(corpus, window=4))


def test_transitions_are_added_in_single_precision(two_playlists: Corpus) -> None:
    counted = Transitions(TransitionsConfig(window=3))._count(two_playlists)
    assert counted.dtype == np.float32
