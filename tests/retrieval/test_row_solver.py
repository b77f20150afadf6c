from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from audotics.domain import FloatArray
from audotics.retrieval import row_solver
from audotics.retrieval.row_solver import RowSolver


def random_rows(
    seed: int, n_rows: int = 9, n_columns: int = 40, density: float = 0.3
) -> tuple[sparse.csr_matrix, FloatArray]:
    """Confidences with rows of very different length (one empty, one full) and ridges."""
    rng = np.random.default_rng(seed)
    dense = rng.uniform(0.2, 3.0, (n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < density)
    dense[0] = 0.0
    dense[1] = rng.uniform(0.2, 3.0, n_columns)
    dense[2] *= np.arange(n_columns) < 3
    matrix = sparse.csr_matrix(dense.astype(np.float32))
    return matrix, rng.uniform(0.3, 2.0, n_rows).astype(np.float32)


def systems(
    matrix: sparse.csr_matrix, ridge: FloatArray, factors: FloatArray, unobserved: float
) -> tuple[np.ndarray, np.ndarray]:
    """Left and right side of every row's normal equations, written out plainly in double precision."""
    dense, columns = matrix.toarray().astype(np.float64), factors.astype(np.float64)
    gram = unobserved * columns.T @ columns
    left = np.array(
        [
            gram + columns.T @ (row[:, None] * columns) + r * np.eye(columns.shape[1])
            for row, r in zip(dense, ridge, strict=True)
        ]
    )
    return left, dense @ columns


@pytest.mark.parametrize("rank", [1, 4, 16, 64])
def test_equals_the_plain_solution_of_every_row(rank: int) -> None:
    """Ranks below and above the rows' lengths, so both forms of the system are taken."""
    matrix, ridge = random_rows(seed=rank)
    factors = np.random.default_rng(rank).normal(0, 0.4, (40, rank)).astype(np.float32)
    left, right = systems(matrix, ridge, factors, 0.2)
    expected = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    solver = RowSolver.rotated(factors, 0.2)
    # The solver's basis is rotated; scores do not depend on the basis.
    scores = solver.solve(matrix, ridge) @ solver.factors.T
    np.testing.assert_allclose(scores, expected @ factors.T, rtol=2e-4, atol=2e-5)


@given(st.integers(0, 10_000), st.integers(1, 24), st.floats(0.001, 1.0))
@settings(max_examples=40, deadline=None)
def test_equals_the_plain_solution_for_any_data(seed: int, rank: int, unobserved: float) -> None:
    matrix, ridge = random_rows(seed, n_rows=5, n_columns=15, density=0.5)
    factors = np.random.default_rng(seed).normal(0, 0.5, (15, rank)).astype(np.float32)
    left, right = systems(matrix, ridge, factors, unobserved)
    expected = np.linalg.solve(left, right[:, :, None])[:, :, 0] @ factors.T
    solver = RowSolver.rotated(factors, unobserved)
    np.testing.assert_allclose(solver.solve(matrix, ridge) @ solver.factors.T, expected, rtol=1e-3, atol=1e-4)


def test_rotation_makes_the_gram_matrix_diagonal_and_keeps_inner_products() -> None:
    factors = np.random.default_rng(3).normal(size=(50, 8)).astype(np.float32)
    solver = RowSolver.rotated(factors, 0.5)
    np.testing.assert_allclose(
        0.5 * solver.factors.T @ solver.factors, np.diag(solver.spectrum), rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(solver.factors @ solver.factors.T, factors @ factors.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [4, 64])
def test_contributions_add_up_to_the_scores(rank: int) -> None:
    matrix, ridge = random_rows(seed=11)
    rng = np.random.default_rng(5)
    solver = RowSolver.rotated(rng.normal(0, 0.4, (40, rank)).astype(np.float32), 0.1)
    targets = solver.factors[rng.integers(0, 40, 5)]
    scores = solver.solve(matrix, ridge) @ targets.T
    for row, expected in enumerate(scores):
        parts = solver.contributions(matrix[row], ridge[[row]], targets)
        assert parts.shape == (5, matrix[row].nnz)
        np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-3, atol=1e-5)


def test_each_contribution_is_the_plain_one() -> None:
    """``c_j x_j' A^-1 h`` of Hu, Koren and Volinsky, written out."""
    matrix, ridge = random_rows(seed=2, n_rows=4)
    factors = np.random.default_rng(2).normal(0, 0.4, (40, 6)).astype(np.float32)
    solver = RowSolver.rotated(factors, 0.3)
    left, _ = systems(matrix, ridge, solver.factors, 0.3)
    targets = solver.factors[[7, 8, 9]]
    for row in range(4):
        directions = np.linalg.solve(left[row], targets.T.astype(np.float64))
        expected = matrix[row].toarray().ravel() * (solver.factors @ directions).T
        parts = solver.contributions(matrix[row], ridge[[row]], targets)
        np.testing.assert_allclose(parts, expected[:, matrix[row].indices], rtol=1e-3, atol=1e-5)


def test_rows_without_entries_are_zero() -> None:
    matrix, ridge = random_rows(seed=0)
    solver = RowSolver.rotated(np.ones((40, 3), np.float32), 0.1)
    assert not solver.solve(matrix, ridge)[0].any()


def test_bounded_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, ridge = random_rows(seed=4, n_rows=60)
    factors = np.random.default_rng(4).normal(0, 0.4, (40, 12)).astype(np.float32)
    solver = RowSolver.rotated(factors, 0.2)
    together = solver.solve(matrix, ridge)
    monkeypatch.setattr(row_solver, "BLOCK_FLOATS", 100)
    np.testing.assert_allclose(solver.solve(matrix, ridge), together, rtol=1e-4, atol=1e-5)


def test_the_matrix_is_left_alone() -> None:
    matrix, ridge = random_rows(seed=6)
    before = matrix.copy()
    factors = np.random.default_rng(6).normal(0, 0.4, (40, 5)).astype(np.float32)
    kept = factors.copy()
    RowSolver.rotated(factors, 0.2).solve(matrix, ridge)
    assert (matrix != before).nnz == 0
    assert np.array_equal(factors, kept)
