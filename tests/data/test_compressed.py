from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data import compressed
from audotics.data.compressed import Compressed, product

SEEDS = st.integers(0, 2**31)


def planted(seed: int, shape: tuple[int, int], density: float) -> Compressed:
    """Rows of different length, some empty, entries in any order and some of them stored zeros."""
    rng = np.random.default_rng(seed)
    columns = [rng.permutation(shape[1])[: rng.binomial(shape[1], density)] for _ in range(shape[0])]
    indptr = np.cumsum([0, *(len(row) for row in columns)])
    data = rng.integers(-3, 4, indptr[-1]).astype(np.float32)
    return Compressed(data, np.concatenate([*columns, []]).astype(np.int32), indptr, shape[1])


def test_the_array_holds_every_entry_and_zeros() -> None:
    rows = Compressed(
        np.array([2.0, 1.0, 5.0], np.float32), np.array([3, 0, 1], np.int32), np.array([0, 2, 2, 3]), 4
    )
    assert rows.toarray().tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [0, 5, 0, 0]]
    assert rows.shape == (3, 4)
    assert rows.nnz == 3
    assert rows.lengths.tolist() == [2, 0, 1]
    assert rows.part(1, 3).toarray().tolist() == [[0, 0, 0, 0], [0, 5, 0, 0]]
    assert rows.csr().toarray().tolist() == rows.toarray().tolist()


def test_stored_arrays_are_read_by_name() -> None:
    rows = planted(1, (3, 5), 0.5)
    arrays = {"w": rows.data, "i": rows.indices, "p": rows.indptr}
    np.testing.assert_array_equal(Compressed.of(arrays, 5, ("w", "i", "p")).toarray(), rows.toarray())


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(0, 12), st.sampled_from([0.0, 0.1, 0.6]))
def test_products_are_those_of_the_whole_matrices(seed: int, n_rows: int, density: float) -> None:
    """Both ways: few rows are summed in place, more go to a sparse library."""
    left, right = planted(seed, (n_rows, 20), 0.3), planted(seed + 1, (20, 30), density)
    found = product(left, right)
    assert found.shape == (n_rows, 30)
    np.testing.assert_array_equal(found.toarray(), left.toarray() @ right.toarray())
    for row in range(n_rows):
        columns = found.indices[found.indptr[row] : found.indptr[row + 1]]
        assert len(set(columns.tolist())) == len(columns)


def test_a_row_is_multiplied_the_same_alone() -> None:
    """To the last bit: equal scores must stay equal."""
    rng = np.random.default_rng(4)
    left, right = planted(4, (20, 50), 0.4), planted(5, (50, 80), 0.5)
    right = Compressed(rng.random(right.nnz, np.float32), right.indices, right.indptr, 80)
    together = product(left, right).toarray()
    for row in range(20):
        np.testing.assert_array_equal(product(left.part(row, row + 1), right).toarray()[0], together[row])


def test_many_cells_are_left_to_the_sparse_library(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = planted(6, (3, 20), 0.3), planted(7, (20, 30), 0.3)
    expected = product(left, right).toarray()
    monkeypatch.setattr(compressed, "_FEW_CELLS", 10)
    np.testing.assert_array_equal(product(left, right).toarray(), expected)


def test_threads_do_not_add_to_each_others_sums() -> None:
    left, right = planted(8, (1, 400), 0.9), planted(9, (400, 3000), 0.3)
    expected = product(left, right).toarray()
    wrong: list[int] = []

    def repeat() -> None:
        wrong.extend(
            attempt for attempt in range(60) if not np.array_equal(product(left, right).toarray(), expected)
        )

    threads = [threading.Thread(target=repeat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@given(SEEDS)
def test_entries_are_found_by_row_and_column(seed: int) -> None:
    rows = planted(seed, (8, 12), 0.4)
    rng = np.random.default_rng(seed)
    asked, columns = rng.integers(8, size=5), rng.integers(12, size=4)
    np.testing.assert_array_equal(rows.found(asked, columns), rows.toarray()[np.ix_(asked, columns)].T)


def test_nothing_times_nothing_is_nothing() -> None:
    nothing = Compressed(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(2, np.int64), 4)
    assert product(nothing, planted(0, (4, 6), 0.5)).toarray().tolist() == [[0.0] * 6]
