from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audotics.data.corpus import Corpus
from audotics.data.queries import QueryBatch
from audotics.domain import PADDING, Mode
from audotics.recommender.candidates import (
    BLOCK_FLOATS,
    BLOCK_QUERIES,
    Allowed,
    CandidateGenerator,
    blocks,
    union,
)

LISTS = arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(PADDING, 9))


@given(LISTS)
def test_union_holds_each_track_of_a_row_once_in_ascending_order(lists: np.ndarray) -> None:
    merged = union(lists.copy())
    for row, found in zip(lists, merged, strict=True):
        wanted = sorted(set(row.tolist()) - {PADDING})
        assert found.tolist() == wanted + [PADDING] * (merged.shape[1] - len(wanted))


@given(st.integers(0, 10_000), st.integers(0, 10 * BLOCK_FLOATS))
def test_blocks_cover_every_query_once_within_memory(n_queries: int, n_tracks: int) -> None:
    parts = list(blocks(n_queries, n_tracks)) if n_queries < 500 or n_tracks < 10_000 else []
    joined = [row for start, stop in parts for row in range(start, stop)]
    assert joined == list(range(n_queries)) or not parts
    assert all((stop - start) * n_tracks <= BLOCK_FLOATS or stop - start == 1 for start, stop in parts)
    assert all(stop - start <= BLOCK_QUERIES for start, stop in parts)


def test_discover_proposes_nothing_heard(
    planted: Corpus, generator: CandidateGenerator, everyone: QueryBatch
) -> None:
    found = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    heard = planted.interactions.matrix().toarray() > 0
    for row, tracks in enumerate(found.track_index):
        assert not heard[row, tracks[tracks != PADDING]].any()


def test_familiar_proposes_only_what_was_heard(
    planted: Corpus, generator: CandidateGenerator, everyone: QueryBatch
) -> None:
    nothing = (np.zeros(0, np.int32),) * everyone.size
    found = generator.generate(everyone, Allowed((Mode.FAMILIAR,) * everyone.size, nothing))
    heard = planted.interactions.matrix().toarray() > 0
    for row, tracks in enumerate(found.track_index):
        assert heard[row, tracks[tracks != PADDING]].all()
    assert (found.track_index != PADDING).sum(axis=1).min() > 0


def test_mix_proposes_both(planted: Corpus, generator: CandidateGenerator, everyone: QueryBatch) -> None:
    nothing = (np.zeros(0, np.int32),) * everyone.size
    found = generator.generate(everyone, Allowed((Mode.MIX,) * everyone.size, nothing))
    heard = planted.interactions.matrix().toarray() > 0
    shares = [heard[row, tracks[tracks != PADDING]].mean() for row, tracks in enumerate(found.track_index)]
    assert 0 < np.mean(shares) < 1


def test_excluded_tracks_are_left_out_of_their_query_only(
    generator: CandidateGenerator, everyone: QueryBatch
) -> None:
    pair = everyone.take(np.array([0, 0]))
    free = generator.generate(pair, Allowed.everything_unheard(2)).track_index[0]
    banned = free[:5]
    allowed = Allowed((Mode.DISCOVER,) * 2, (banned, np.zeros(0, np.int32)))
    found = generator.generate(pair, allowed).track_index
    assert not np.isin(found[0], banned).any()
    assert np.isin(banned, found[1]).all()


def test_scores_and_ranks_are_the_retrievers_own(
    planted: Corpus, generator: CandidateGenerator, everyone: QueryBatch
) -> None:
    few = everyone.part(0, 7)
    allowed = Allowed.everything_unheard(7)
    found = generator.generate(few, allowed)
    assert found.depth == 20
    for number, retriever in enumerate(generator.retrievers):
        scores = retriever.score(few)
        scores[allowed.mask(few)] = -np.inf
        for row in range(7):
            order = np.argsort(-scores[row], kind="stable")
            place = {int(track): rank for rank, track in enumerate(order, start=1)}
            for slot, track in enumerate(found.track_index[row].tolist()):
                if track == PADDING:
                    assert found.scores[row, slot, number] == 0
                    continue
                np.testing.assert_allclose(
                    found.scores[row, slot, number], scores[row, track], rtol=1e-5, atol=1e-6
                )
                rank = found.ranks[row, slot, number]
                assert rank == (place[track] if place[track] <= 20 else 21)


def test_a_candidate_is_proposed_by_someone(generator: CandidateGenerator, everyone: QueryBatch) -> None:
    found = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    assert (found.ranks[found.present].min(axis=1) <= found.depth).all()


def test_a_long_slate_widens_the_lists_but_not_the_ranks(
    generator: CandidateGenerator, everyone: QueryBatch
) -> None:
    allowed = Allowed.everything_unheard(everyone.size)
    usual, wide = generator.generate(everyone, allowed), generator.generate(everyone, allowed, k=60)
    assert wide.present.sum(axis=1).min() >= 60 > usual.present.sum(axis=1).min()
    assert wide.depth == usual.depth == 20
    assert wide.ranks.max() == 21
