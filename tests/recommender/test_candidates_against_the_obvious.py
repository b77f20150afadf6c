"""Candidates held against the plain way: all scores of all tracks, sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, Mode
from audotics.recommender import candidates
from audotics.recommender.candidates import Allowed, CandidateGenerator, best_of
from audotics.recommender.ranking_features import opinions
from audotics.recommender.unions import ranked_union
from audotics.retrieval.names import new_retriever

NAMES = ("popularity", "content", "item-knn", "user-knn", "rp3beta", "ials", "ease", "favourites")
DEPTH = 15


@pytest.fixture(scope="module")
def many(planted: Corpus) -> CandidateGenerator:
    fixed = {"ials": {"rank": 8}, "item-knn": {"n_neighbours": 5}, "user-knn": {"n_neighbours": 3}}
    retrievers = [new_retriever(name, fixed.get(name, {})).fit(planted) for name in NAMES]
    return CandidateGenerator(retrievers, DEPTH)


def drawn(rng: np.random.Generator, batch: QueryBatch) -> Allowed:
    """Modes and exclusions at random."""
    modes = rng.choice(np.array(list(Mode), dtype=object), batch.size).tolist()
    excluded = [rng.permutation(batch.histories.n_tracks)[: rng.integers(0, 30)] for _ in modes]
    return Allowed(tuple(modes), tuple(part.astype(np.int32) for part in excluded))


def sorted_lists(scores: np.ndarray, k: int) -> np.ndarray:
    """The ``k`` best of each row by a stable sort, -1 for what is barred."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(scores, order, axis=1) == -np.inf, PADDING, order)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), k=st.sampled_from([0, 5, 40, 10_000]), also=st.booleans())
def test_candidates_are_those_of_sorting_all_scores(
    planted: Corpus, many: CandidateGenerator, everyone: QueryBatch, seed: int, k: int, also: bool
) -> None:
    rng = np.random.default_rng(seed)
    batch = everyone.take(rng.integers(0, everyone.size, 9))
    allowed = drawn(rng, batch)
    more = rng.integers(-1, planted.n_tracks, (9, 6)).astype(np.int32) if also else None
    found = many.generate(batch, allowed, k, more)
    forbidden = allowed.mask(batch)
    scores = np.stack([retriever.score(batch) for retriever in many.retrievers], axis=2)
    scores[forbidden] = -np.inf
    lists = [sorted_lists(scores[:, :, number], max(k, DEPTH)) for number in range(len(NAMES))]
    for row in range(batch.size):
        wanted = {track for best in lists for track in best[row].tolist()}
        wanted |= set() if more is None else {track for track in more[row] if not forbidden[row, track]}
        tracks = np.array(sorted(wanted - {PADDING}), np.int32)
        assert found.track_index[row, found.present[row]].tolist() == tracks.tolist()
        assert not found.present[row, len(tracks) :].any()
        np.testing.assert_array_equal(found.scores[row, : len(tracks)], scores[row, tracks])
        assert not found.scores[row, len(tracks) :].any()
        for number, best in enumerate(lists):
            places = {track: place for place, track in enumerate(best[row, :DEPTH].tolist(), start=1)}
            ranks = [places.get(track, DEPTH + 1) for track in tracks.tolist()]
            assert found.ranks[row, : len(tracks), number].tolist() == ranks


def test_the_parts_of_a_block_change_nothing(
    many: CandidateGenerator, everyone: QueryBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = Allowed.everything_unheard(everyone.size)
    whole = many.generate(everyone, allowed)
    best = [best_of(retriever, everyone, allowed, 9) for retriever in many.retrievers]
    monkeypatch.setattr(candidates, "CACHED_FLOATS", 3 * everyone.histories.n_tracks)
    parts = many.generate(everyone, allowed)
    for name in ("track_index", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    for retriever, lists in zip(many.retrievers, best, strict=True):
        np.testing.assert_array_equal(best_of(retriever, everyone, allowed, 9), lists)


def test_the_best_of_one_retriever_are_those_of_sorting(
    many: CandidateGenerator, everyone: QueryBatch
) -> None:
    allowed = drawn(np.random.default_rng(8), everyone)
    for retriever in many.retrievers:
        scores = retriever.score(everyone)
        scores[allowed.mask(everyone)] = -np.inf
        np.testing.assert_array_equal(best_of(retriever, everyone, allowed, 12), sorted_lists(scores, 12))


def test_asking_changes_no_retriever(many: CandidateGenerator, everyone: QueryBatch) -> None:
    before = [retriever.score(everyone) for retriever in many.retrievers]
    many.generate(everyone, Allowed.everything_unheard(everyone.size))
    for retriever, scores in zip(many.retrievers, before, strict=True):
        np.testing.assert_array_equal(retriever.score(everyone), scores)


def test_no_queries_have_no_candidates(many: CandidateGenerator, everyone: QueryBatch) -> None:
    nobody = everyone.part(0, 0)
    found = many.generate(nobody, Allowed.everything_unheard(0))
    assert found.scores.shape[::2] == (0, len(NAMES))
    assert best_of(many.retrievers[0], nobody, Allowed.everything_unheard(0), 5).shape == (0, 5)


def test_ranks_beyond_the_depth_do_not_count() -> None:
    lists = np.array([[[4, 2, 7], [7, 4, -1]]], np.int32)
    tracks, ranks = ranked_union(lists, np.array([[9, 2, -1]], np.int32), depth=2)
    assert tracks.tolist() == [[2, 4, 7, 9]]
    assert ranks.tolist() == [[[2, 1, 3, 3], [3, 2, 1, 3]]]


@pytest.mark.parametrize("depth", [20, 200, 333])
def test_a_track_has_the_votes_of_those_that_propose_it(depth: int) -> None:
    ranks = np.full((1, 3, 2), depth + 1, np.float32)
    ranks[0, 0], ranks[0, 1, 1] = depth, 1
    tracks = np.array([[0, 1, 2]], np.int32)
    said = opinions(candidates.Candidates(tracks, np.zeros((1, 3, 2), np.float32), ranks, ("a", "b"), depth))
    assert said[0, :, -1].tolist() == [1.0, 0.5, 0.0]


def test_opinions_of_real_lists_are_the_plain_formulas(
    many: CandidateGenerator, everyone: QueryBatch
) -> None:
    found = many.generate(everyone, Allowed.everything_unheard(everyone.size), k=30)
    said = opinions(found)
    n = len(NAMES)
    for row in range(0, everyone.size, 7):
        here = found.present[row]
        usual = here & (found.ranks[row] <= found.depth).any(axis=1)
        scores = found.scores[row].astype(np.float64)
        z = (scores - scores[usual].mean(axis=0)) / np.sqrt(scores[usual].var(axis=0) + 1e-12)
        np.testing.assert_allclose(said[row, here, :n], np.clip(z, -6, 6)[here], atol=2e-4)
        largest = np.maximum(scores[usual].max(axis=0), 1e-12)
        top = np.clip(scores / largest, -1, 1)
        np.testing.assert_allclose(said[row, here, n : 2 * n], top[here], atol=1e-5)
        ranks = 1 - np.log(found.ranks[row]) / np.log(found.depth + 1)
        np.testing.assert_allclose(said[row, here, 2 * n : 3 * n], ranks[here], atol=1e-5)
