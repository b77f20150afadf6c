"""Blocks of rows that workers solve make the factors of one process."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from audotics.distributed import factorisation
from audotics.distributed.factorisation import IALSByWorkers, row_blocks
from audotics.distributed.workers import RayWorkers
from audotics.retrieval.ials import IALS, IALSConfig
from contract.in_turn import InTurn
from contract.retriever_contract import asking, planted_corpus

CONFIG = IALSConfig(rank=8, sweeps=4)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factorisation, "BLOCK_PAIRS", 300)


def _assert_like_one_process(shared: IALS) -> None:
    corpus = planted_corpus()
    alone = IALS(CONFIG).fit(corpus)
    shared.fit(corpus)
    assert shared.name == alone.name
    # Rows are padded to others of their block, so sums are rounded in another order; factors may turn.
    np.testing.assert_allclose(shared.arrays()["spectrum"], alone.arrays()["spectrum"], rtol=1e-3)
    batch = asking(corpus.interactions)
    scores = alone.score(batch)
    np.testing.assert_allclose(shared.score(batch), scores, atol=1e-3 * np.abs(scores).max())


def test_blocks_make_the_same_factors() -> None:
    workers = InTurn()
    _assert_like_one_process(IALSByWorkers(IALS(CONFIG), workers))
    assert workers.n_tasks > 2 * 2 * CONFIG.sweeps


@pytest.mark.slow
def test_workers_of_ray_make_the_same_factors(ray_workers: RayWorkers) -> None:
    _assert_like_one_process(IALSByWorkers(IALS(CONFIG), ray_workers))


def test_nothing_is_held_after_learning() -> None:
    learned = IALSByWorkers(IALS(CONFIG), InTurn()).fit(planted_corpus())
    assert learned._blocks == {}
    again = IALS.from_arrays(learned.config.model_dump(), learned.arrays())
    np.testing.assert_array_equal(again.arrays()["track_factors"], learned.arrays()["track_factors"])


@given(st.lists(st.integers(0, 900), max_size=12))
def test_blocks_hold_every_row_once(lengths: list[int]) -> None:
    indptr = np.cumsum([0, *lengths])
    indices = np.concatenate([np.arange(length) for length in (0, *lengths)])
    matrix = sparse.csr_matrix((np.ones(indptr[-1]), indices, indptr), shape=(len(lengths), 1000))
    rows = [row for block in row_blocks(matrix) for row in range(len(lengths))[block]]
    assert rows == list(range(len(lengths)))
