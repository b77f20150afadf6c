"""Sums of regression trees for many rows at once, in plain numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from audotics.domain import FloatArray
from audotics.ranking.trees import Trees

MOST_LEAVES = 256
"""Most leaves of one tree: their numbers must fit a byte."""

_ROWS_AT_ONCE = 4096
"""Rows whose bits for every node stay in the processor's cache."""

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Level:
    """Nodes of all trees at one depth; the places count the nodes of this level.

    Args:
        inner: Places of the nodes that ask.
        test: Which test each of them makes.
        leaf: Places of the leaves.
        number: For each leaf its number in its tree times the number of trees, plus the tree.
    """

    inner: _Places
    test: _Places
    leaf: _Places
    number: _Places


class Forest:
    """Adds up what every tree says of each row.

    Walking a tree row by row waits for memory and mispredicts every turn. Here a test answers for all
    rows, one bit each, and a node's bits say which rows come to it: its parent's bits and the test's. A few
    operations on packed bits so lead thousands of rows through a tree. The number of the leaf where a row
    ends is then put together from bits; numbers of several trees that fit one byte are looked up as one.
    (The idea of bit vectors for trees is from Lucchese et al., "QuickScorer", 2015.)

    Args:
        trees: Trees of at most `MOST_LEAVES` leaves.
        baseline: What every sum begins with.

    Raises:
        ValueError: A tree has more leaves.
    """

    def __init__(self, trees: Trees, baseline: float) -> None:
        self._baseline = baseline
        self._n_trees = len(trees.roots)
        test_of_node = self._collect_tests(trees)
        leaf_tree, leaf_number, leaf_value = self._descend(trees, test_of_node)
        self._n_leaves = int(leaf_number.max(initial=0)) + 1
        if self._n_leaves > MOST_LEAVES:
            raise ValueError(f"a tree has {self._n_leaves} leaves, more than {MOST_LEAVES}")
        self._n_planes = max(1, (self._n_leaves - 1).bit_length())
        self._per_byte = 8 // self._n_planes
        self._tables = self._tabulate(leaf_tree, leaf_number, leaf_value)
        self._table_starts = np.arange(len(self._tables), dtype=np.int32)[:, None] * 256

    def sums(self, features: FloatArray) -> npt.NDArray[np.float64]:
        """What the trees say of each row ``[n_rows]``.

        Args:
            features: ``[n_rows, n_features]``, finite.
        """
        sums = np.full(len(features), self._baseline)
        for start in range(0, len(features), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            codes = self._codes(self._leaf_bits(self._test_bits(features[rows])), len(sums[rows]))
            sums[rows] += self._tables.ravel().take(codes + self._table_starts).sum(axis=0)
        return sums

    def _collect_tests(self, trees: Trees) -> _Places:
        """Number the different tests by feature and threshold; the number of each node's test."""
        inner = np.flatnonzero(~trees.is_leaf)
        order = inner[np.lexsort((trees.threshold[inner], trees.feature[inner]))]
        feature, threshold = trees.feature[order], trees.threshold[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (feature[1:] != feature[:-1]) | (threshold[1:] != threshold[:-1])
        test_of_node = np.zeros(len(trees.feature), np.int64)
        test_of_node[order] = np.cumsum(fresh) - 1
        self._thresholds = threshold[fresh]
        asked, starts = np.unique(feature[fresh], return_index=True)
        tests = [slice(*ends) for ends in pairwise([*starts.tolist(), len(self._thresholds)])]
        self._tests = [
            (place, part, self._thresholds[part, None])
            for place, part in zip(asked.tolist(), tests, strict=True)
        ]
        return test_of_node

    def _descend(
        self, trees: Trees, test_of_node: _Places
    ) -> tuple[_Places, _Places, npt.NDArray[np.float64]]:
        """Note the levels; tree, number inside the tree and value of every leaf, level by level."""
        is_leaf = trees.is_leaf
        nodes, tree = trees.roots, np.arange(self._n_trees)
        leaves, owners, found = [], [], []
        while len(nodes):
            inner, leaf = np.flatnonzero(~is_leaf[nodes]), np.flatnonzero(is_leaf[nodes])
            found.append((inner, test_of_node[nodes[inner]], leaf))
            leaves.append(nodes[leaf])
            owners.append(tree[leaf])
            asking = nodes[inner]
            nodes = np.concatenate([trees.left[asking], trees.right[asking]])
            tree = np.tile(tree[inner], 2)
        owner = np.concatenate([*owners, np.zeros(0, np.int64)])
        number = _counted(owner)
        ends = np.cumsum([len(part) for part in owners], dtype=np.int64)
        places = np.split(number * self._n_trees + owner, ends[:-1])
        self._levels = [_Level(*level, place) for level, place in zip(found, places, strict=False)]
        values = trees.value[np.concatenate([*leaves, np.zeros(0, np.int64)])]
        return owner, number, values

    def _tabulate(
        self, tree: _Places, number: _Places, value: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """What the trees of one byte say together, for each byte ``[n_bytes, 256]``."""
        n_bytes = -(-self._n_trees // self._per_byte)
        values = np.zeros((n_bytes * self._per_byte, 1 << self._n_planes))
        values[tree, number] = value
        codes = np.arange(256)
        tables = np.zeros((n_bytes, 256))
        for place in range(self._per_byte):
            said = (codes >> place * self._n_planes) & ((1 << self._n_planes) - 1)
            tables += values[place :: self._per_byte][:, said]
        return tables

    def _test_bits(self, features: FloatArray) -> _Bytes:
        """Answers of all tests ``[n_tests, n_rows / 8]``: 1 sends a row to the right."""
        answers = np.empty((len(self._thresholds), len(features)), np.bool_)
        columns = np.ascontiguousarray(features.T)
        for feature, tests, thresholds in self._tests:
            np.greater(columns[feature], thresholds, out=answers[tests])
        return np.packbits(answers, axis=1, bitorder="little")

    def _leaf_bits(self, tests: _Bytes) -> _Bytes:
        """Which rows end at each leaf ``[n_leaves, n_trees, n_rows / 8]``."""
        width = tests.shape[1]
        ending = np.zeros((self._n_leaves * self._n_trees, width), np.uint8)
        coming = np.full((self._n_trees, width), 0xFF, np.uint8)
        for level in self._levels:
            ending[level.number] = coming[level.leaf]
            parents = coming[level.inner]
            n = len(parents)
            coming = np.empty((2 * n, width), np.uint8)
            np.bitwise_and(parents, tests[level.test], out=coming[n:])
            np.bitwise_xor(parents, coming[n:], out=coming[:n])
        return ending.reshape(self._n_leaves, self._n_trees, width)

    def _codes(self, ending: _Bytes, n_rows: int) -> _Bytes:
        """Numbers of the leaves where rows end, several trees to a byte ``[n_bytes, n_rows]``."""
        n_bytes, (_, _, width) = len(self._tables), ending.shape
        planes = np.zeros((self._n_planes, n_bytes * self._per_byte, width), np.uint8)
        for number, plane in self._set_bits():
            planes[plane, : self._n_trees] |= ending[number]
        cells = np.zeros((n_bytes, width, 8), np.uint8)
        for place in range(self._per_byte):
            for plane in range(self._n_planes):
                cells[:, :, place * self._n_planes + plane] = planes[plane, place :: self._per_byte]
        _transpose_bits(cells)
        return cells.reshape(n_bytes, 8 * width)[:, :n_rows]

    def _set_bits(self) -> Iterator[tuple[int, int]]:
        """Numbers of leaves, each with every place where its binary form has a 1."""
        for number in range(self._n_leaves):
            for plane in range(self._n_planes):
                if number >> plane & 1:
                    yield number, plane


_SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))
"""Distance and bits of the swaps that transpose 8 x 8 bits (Warren, *Hacker's Delight*, 7-3)."""


def _transpose_bits(cells: _Bytes) -> None:
    """Swap bit ``j`` of byte ``i`` with bit ``i`` of byte ``j`` in ``cells [..., 8]``, in place."""
    words = cells.view("<u8")
    for distance, bits in _SWAPS:
        swapped = (words ^ (words >> np.uint64(distance))) & np.uint64(bits)
        words ^= swapped
        words ^= swapped << np.uint64(distance)


def _counted(groups: _Places) -> _Places:
    """For each entry how many of the same group came before it."""
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    number = np.empty(len(groups), np.int64)
    number[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return number
