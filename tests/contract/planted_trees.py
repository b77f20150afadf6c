"""Small regression trees with a known shape."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from audotics.ranking.trees import LEAF, Trees


def of_nodes(*nodes: tuple[int, float, int, int, float]) -> Trees:
    """Trees from rows of feature, threshold, left, right and value."""
    columns = [np.array(column) for column in zip(*nodes, strict=True)] or [np.zeros(0)] * 5
    feature, threshold, left, right, value = columns
    return Trees(
        feature.astype(np.int32),
        threshold.astype(np.float32),
        left.astype(np.int32),
        right.astype(np.int32),
        value.astype(np.float64),
    )


def leaf(value: float) -> tuple[int, float, int, int, float]:
    return LEAF, 0.0, LEAF, LEAF, value


def vine(n_leaves: int) -> Trees:
    """One tree that is a chain: leaf ``i`` takes feature 0 in ``(i - 1, i]`` and says ``i``."""
    nodes = []
    for number in range(n_leaves - 1):
        at = 2 * number
        nodes += [(0, float(number), at + 1, at + 2, 0.0), leaf(float(number))]
    return of_nodes(*nodes, leaf(float(n_leaves - 1)))


def vars_of(trees: Trees) -> dict[str, np.ndarray]:
    """The columns by name."""
    return {field.name: getattr(trees, field.name) for field in fields(trees)}


def random_trees(rng: np.random.Generator, n_trees: int, n_leaves: int, n_features: int) -> Trees:
    """Trees grown at random leaves; few different thresholds, so that rows lie on them."""
    nodes: list[tuple[int, float, int, int, float]] = []
    for _ in range(n_trees):
        ends = [len(nodes)]
        nodes.append(leaf(float(rng.normal())))
        for _ in range(int(rng.integers(0, n_leaves))):
            at = ends.pop(int(rng.integers(len(ends))))
            children = len(nodes), len(nodes) + 1
            nodes[at] = (int(rng.integers(n_features)), float(rng.integers(-2, 3)), *children, 0.0)
            nodes += [leaf(float(rng.normal())), leaf(float(rng.normal()))]
            ends += children
    return of_nodes(*nodes)


def walked(trees: Trees, features: np.ndarray) -> np.ndarray:
    """The sum for each row, one node after another."""
    sums = np.zeros(len(features))
    for row, values in enumerate(features):
        for root in trees.roots.tolist():
            node = root
            while trees.feature[node] != LEAF:
                goes_right = values[trees.feature[node]] > trees.threshold[node]
                node = int((trees.right if goes_right else trees.left)[node])
            sums[row] += trees.value[node]
    return sums
