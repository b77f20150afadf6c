from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.interactions import Interactions
from audotics.retrieval.sequence_batches import Batch, NegativeSampler, WindowSampler
from audotics.retrieval.sequence_inputs import Sequences


def numbered(lengths: list[int]) -> Interactions:
    """Histories in which the track tells its place: row ``i`` plays ``100 i, 100 i + 1, ...``."""
    return Interactions.from_histories(
        [[100 * row + place for place in range(length)] for row, length in enumerate(lengths)], 10_000
    )


def test_targets_are_what_came_next() -> None:
    windows = Sequences(np.array([[-1, 7, 3, 7], [5, 3, 9, 4]], np.int32), np.zeros((2, 4), np.int32))
    batch = Batch.of(windows, np.array([9, 9, 2], np.int32))
    assert batch.rows.tolist() == [2, 3, 4, 5, 7, 9]
    assert batch.rows[batch.tracks].tolist()[1] == [5, 3, 9]
    assert batch.tracks[0].tolist() == [-1, 4, 1]
    assert batch.rows[batch.targets].tolist()[1] == [3, 9, 4]
    # What follows padding is told from nothing.
    assert batch.targets[0].tolist() == [-1, 1, 4]
    assert batch.rows[batch.negatives].tolist() == [9, 9, 2]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 9), st.integers(0, 99))
def test_a_pass_tells_every_track_but_the_first(lengths: list[int], length: int, seed: int) -> None:
    sampler = WindowSampler(numbered(lengths), length, batch_size=3)
    told: set[int] = set()
    n_batches = 0
    for windows in sampler.one_pass(np.random.default_rng(seed)):
        n_batches += 1
        assert len(windows.tracks) <= 3
        assert windows.tracks.shape[1] <= length + 1
        before, after = windows.tracks[:, :-1], windows.tracks[:, 1:]
        pairs = before >= 0
        assert (after[pairs] == before[pairs] + 1).all()
        told.update(after[pairs].tolist())
    expected = {100 * row + place for row, n in enumerate(lengths) for place in range(1, n)}
    assert told == expected
    assert n_batches >= sampler.n_batches()


def test_passes_differ_by_the_seed_alone() -> None:
    sampler = WindowSampler(numbered([30, 25, 8, 9]), 6, batch_size=2)

    def tracks(seed: int) -> list[list[list[int]]]:
        return [windows.tracks.tolist() for windows in sampler.one_pass(np.random.default_rng(seed))]

    assert tracks(1) == tracks(1)
    assert tracks(1) != tracks(2)


def test_a_small_catalogue_is_compared_as_a_whole() -> None:
    sampler = NegativeSampler(np.array([3, 0, 1, 1]), 3)
    assert sampler.draw(np.random.default_rng(0)).tolist() == [0, 2, 3]
    assert not sampler.log_expected.any()


def test_negatives_are_drawn_as_often_as_expected() -> None:
    sampler = NegativeSampler(np.array([60, 0, 30, 10]), 2)
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([sampler.draw(rng) for _ in range(5000)]), minlength=4) / 5000
    assert drawn[1] == 0
    np.testing.assert_allclose(drawn[[0, 2, 3]], np.exp(sampler.log_expected[[0, 2, 3]]), rtol=0.1)
    np.testing.assert_allclose(np.exp(sampler.log_expected[[0, 2, 3]]), [1.2, 0.6, 0.2], rtol=1e-6)
