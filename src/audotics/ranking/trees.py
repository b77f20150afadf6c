"""Regression trees as flat arrays: what is stored of boosted trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray, IndexArray

LEAF = -1
"""Feature, and number of the children, of a node that ends a branch."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Binary trees whose leaves add up, all in the same arrays; parents stand before their children.

    Args:
        feature: ``[n_nodes]``, which feature a node asks for; `LEAF` where it is a leaf.
        threshold: ``[n_nodes]``: a row goes to the right where its feature is larger, else to the left.
        left: ``[n_nodes]``, number of the left child; `LEAF` at leaves.
        right: ``[n_nodes]``, likewise.
        value: ``[n_nodes]``, what a row that ends at this leaf adds to the sum.
    """

    feature: IndexArray
    threshold: FloatArray
    left: IndexArray
    right: IndexArray
    value: npt.NDArray[np.float64]

    @property
    def is_leaf(self) -> BoolArray:
        """``[n_nodes]``: True where a branch ends."""
        leaf: BoolArray = self.feature == LEAF
        return leaf

    @property
    def roots(self) -> npt.NDArray[np.int64]:
        """Numbers of the nodes without a parent ``[n_trees]``, ascending."""
        return np.setdiff1d(np.arange(len(self.feature)), self.children)

    @property
    def children(self) -> IndexArray:
        """Numbers of the left and then of the right children of all nodes that have some."""
        inner = ~self.is_leaf
        return np.concatenate([self.left[inner], self.right[inner]])

    def problem(self, n_features: int) -> str:
        """Why these are no trees over ``n_features`` features; empty where they are."""
        n_nodes = len(self.feature)
        if any(len(column) != n_nodes for column in (self.threshold, self.left, self.right, self.value)):
            return "its columns differ in length"
        if ((self.feature < LEAF) | (self.feature >= n_features)).any():
            return "a node asks for a feature that is not there"
        parents = np.flatnonzero(~self.is_leaf)
        children = self.children
        if ((children <= np.tile(parents, 2)) | (children >= n_nodes)).any():
            return "a child does not follow its parent"
        if len(np.unique(children)) < len(children):
            return "a node has two parents"
        return ""


def rounded_down(thresholds: npt.NDArray[np.float64]) -> FloatArray:
    """The largest float32 not above each threshold: no float32 tells the two apart."""
    nearest: FloatArray = thresholds.astype(np.float32)
    above = nearest > thresholds
    nearest[above] = np.nextafter(nearest[above], np.float32(-np.inf))
    return nearest
