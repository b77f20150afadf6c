from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier

from audotics.ranking.boosted import trees_of
from audotics.ranking.forest import MOST_LEAVES, Forest
from audotics.ranking.trees import LEAF, rounded_down
from contract.planted_trees import leaf, of_nodes, random_trees, vine, walked


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_trees=st.integers(0, 7),
    n_leaves=st.integers(1, 20),
    n_rows=st.integers(0, 30),
)
def test_sums_are_those_of_walking_each_tree(seed: int, n_trees: int, n_leaves: int, n_rows: int) -> None:
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, n_trees, n_leaves, n_features=3)
    features = rng.integers(-3, 4, (n_rows, 3)).astype(np.float32)
    np.testing.assert_allclose(Forest(trees, 0.5).sums(features), 0.5 + walked(trees, features), atol=1e-12)


@pytest.mark.parametrize("n_leaves", [1, 2, 3, 15, 16, 17, 100, MOST_LEAVES])
def test_every_leaf_of_a_long_tree_is_reached(n_leaves: int) -> None:
    features = np.arange(n_leaves, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(Forest(vine(n_leaves), 0.0).sums(features), np.arange(n_leaves))


def test_too_many_leaves_are_refused() -> None:
    with pytest.raises(ValueError, match="257 leaves"):
        Forest(vine(MOST_LEAVES + 1), 0.0)


def test_many_rows_are_summed_like_few() -> None:
    rng = np.random.default_rng(3)
    forest = Forest(random_trees(rng, 30, 15, n_features=8), 1.0)
    features = rng.normal(size=(10_001, 8)).astype(np.float32)
    parts = np.concatenate([forest.sums(part) for part in np.array_split(features, 97)])
    np.testing.assert_array_equal(forest.sums(features), parts)


def test_trees_of_no_question_add_their_value() -> None:
    forest = Forest(of_nodes(leaf(1.0), leaf(2.5)), 0.25)
    np.testing.assert_array_equal(forest.sums(np.zeros((3, 2), np.float32)), [3.75] * 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_sums_are_those_of_scikit_learn(seed: int) -> None:
    features, labels = make_classification(3000, 12, n_informative=8, random_state=seed)
    features = features.astype(np.float32)
    model = HistGradientBoostingClassifier(max_iter=40, random_state=seed).fit(features, labels)
    trees, baseline = trees_of(model)
    assert trees.problem(12) == ""
    # Rows on the thresholds themselves, too: they must go to the same side.
    inner = ~trees.is_leaf
    edges = features[: inner.sum()].copy()
    rows = np.arange(len(edges))
    edges[rows, trees.feature[inner][: len(edges)]] = trees.threshold[inner][: len(edges)]
    for rows_of in (features, edges):
        np.testing.assert_allclose(
            Forest(trees, baseline).sums(rows_of), model.decision_function(rows_of), rtol=0, atol=1e-9
        )


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20))
def test_rounding_down_sends_every_float32_to_the_same_side(thresholds: list[float]) -> None:
    exact = np.array(thresholds)
    rounded = rounded_down(exact)
    near = np.concatenate([rounded, np.nextafter(rounded, np.float32(np.inf)), exact.astype(np.float32)])
    for at, limit in zip(rounded, exact, strict=True):
        np.testing.assert_array_equal(near > at, near.astype(np.float64) > limit)


class TestProblems:
    fine = of_nodes((0, 1.0, 1, 2, 0.0), leaf(1.0), leaf(2.0), leaf(3.0))

    def test_trees_have_none(self) -> None:
        assert self.fine.problem(1) == ""
        assert self.fine.roots.tolist() == [0, 3]

    def test_an_unknown_feature(self) -> None:
        assert "feature" in self.fine.problem(0)
        assert "feature" in of_nodes((LEAF - 1, 0.0, LEAF, LEAF, 0.0)).problem(3)

    @pytest.mark.parametrize("child", [0, -1, -7, 3, 99])
    def test_children_out_of_place(self, child: int) -> None:
        assert "child" in of_nodes((0, 1.0, 1, child, 0.0), leaf(1.0), leaf(2.0)).problem(1)

    def test_shared_children(self) -> None:
        assert "two parents" in of_nodes((0, 1.0, 1, 1, 0.0), leaf(1.0), leaf(2.0)).problem(1)

    def test_columns_of_other_lengths(self) -> None:
        short = type(self.fine)(
            self.fine.feature,
            self.fine.threshold[:-1],
            self.fine.left,
            self.fine.right,
            self.fine.value,
        )
        assert "length" in short.problem(1)
