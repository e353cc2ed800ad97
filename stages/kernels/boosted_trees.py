"""Boosted trees over rows of numbers, without a branch: models of LightGBM, which is not needed for it.

A node is one number of 64 bits: threshold, the first of its two children (the other is the one after it) and feature. Thresholds
and features are compared as integers that sort like the numbers they stand for. A leaf is its own child and never passed, so
every row takes the same number of steps in a tree; eight rows go down together, because each step waits for memory.

Most blocks of a page are menus and footers, which forty trees recognise, as they do most of its text: rows beyond 12 and 88 % by
then are not shown to the other trees, which would make them surer of the same. How much surer is known (`_SURER`), and matters
to who adds scores up: without it, F1 on four sets is .002 lower, with it .001 higher than where all trees are asked. Milliseconds
for a page of 207 blocks and 150 trees: one row after the other 0.78, eight together 0.44, and a third less with nodes of 64 bits;
for pages of 350 blocks 0.28 where trees were left out for eight neighbours alone, and 0.19 now.
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.kernels import inlined, inner, kernel

__all__ = ["Trees", "pack_trees", "predict"]

_FIRST_TREES = 40
_DECIDED = 2.0  # log-odds: 12 and 88 %
_SURER = 0.4
"""By this times the logarithm of the number of trees over the first ones, log-odds of decided rows grow. Measured: 1.51 below and
1.43 above for 150 trees, 1.21 and 1.20 for 60; this gives 1.53 and 1.16."""
_SIGN = np.int32(0x7FFFFFFF)


class Trees(NamedTuple):
    """A model as `predict` takes it."""

    roots: npt.NDArray[np.int64]
    """Where the nodes of each tree begin."""
    depths: npt.NDArray[np.int64]
    nodes: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    """Of the leaves."""


def pack_trees(roots: Any, depths: Any, child: Any, feature: Any, threshold: Any, values: Any) -> Trees:
    """Return a model from arrays by tree (root, depth) and by node (first child, feature, threshold, value).

    Thresholds are float32; that of a leaf is infinite. A row goes to the second child where its feature is greater.
    """
    owner = np.repeat(roots, np.diff(np.append(roots, len(child))))
    keys = _keys(np.ascontiguousarray(threshold, np.float32)).astype(np.int64)
    nodes = keys << 32 | (child - owner).astype(np.int64) << 16 | feature.astype(np.int64)
    return Trees(np.asarray(roots, np.int64), np.asarray(depths, np.int64), nodes, np.asarray(values, np.float32))


def _keys(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Return integers that sort like *numbers*, none of which is NaN; -0 and 0 are the same."""
    bits = (numbers + np.float32(0)).view(np.int32)
    return bits ^ ((bits >> 31) & _SIGN)


@kernel
def predict(rows: Any, trees: Any, scores: Any) -> None:
    """Write the probability of each of *rows* (n, features; float32, contiguous) to *scores* (n)."""
    bits = rows.reshape(-1).view(np.int32)
    keys = np.empty(bits.size, np.int32)
    for at in range(bits.size):  # as `_keys`; that -0 sorts before 0 changes nothing where no threshold is -0
        keys[at] = bits[at] ^ ((bits[at] >> 31) & _SIGN)
    count = scores.size
    order = np.empty(count, np.int64)
    for row in range(count):
        order[row], scores[row] = row, 0
    width, all_trees = rows.shape[1], trees[0].size
    asked = min(_FIRST_TREES, all_trees)
    _add(keys, width, trees, 0, asked, order, count, scores)
    surer = np.float32(1 + _SURER * log(all_trees / asked))
    open_rows = 0
    for row in range(count):
        if abs(scores[row]) < _DECIDED:
            order[open_rows] = row
            open_rows += 1
        else:
            scores[row] *= surer
    _add(keys, width, trees, asked, all_trees, order, open_rows, scores)
    for row in range(count):
        scores[row] = 1 / (1 + np.exp(-scores[row]))


@inlined
def _step(keys: Any, start: int, nodes: Any, root: int, place: int) -> Any:
    """Return the node that a row goes to from the node at *place*."""
    node = nodes[place]
    return root + (node >> 16 & 0xFFFF) + (keys[start + (node & 0xFFFF)] > node >> 32)


@inner
def _add(keys: Any, width: int, trees: Any, begin: int, end: int, order: Any, count: int, sums: Any) -> None:
    """Add what the trees from *begin* to *end* say of the first *count* rows of *order* to their *sums*."""
    # Rows are written out one by one: in an array their places would go through memory at every step (0.32 instead of 0.26 ms).
    roots, depths, nodes, values = trees
    for first in range(0, count, 8):
        last = count - 1 - first  # it stands in for rows that are not there
        row_0, row_1, row_2 = order[first], order[first + min(1, last)], order[first + min(2, last)]
        row_3, row_4, row_5 = order[first + min(3, last)], order[first + min(4, last)], order[first + min(5, last)]
        row_6, row_7 = order[first + min(6, last)], order[first + min(7, last)]
        start_0, start_1, start_2, start_3 = row_0 * width, row_1 * width, row_2 * width, row_3 * width
        start_4, start_5, start_6, start_7 = row_4 * width, row_5 * width, row_6 * width, row_7 * width
        sum_0, sum_1, sum_2, sum_3 = sums[row_0], sums[row_1], sums[row_2], sums[row_3]
        sum_4, sum_5, sum_6, sum_7 = sums[row_4], sums[row_5], sums[row_6], sums[row_7]
        for tree in range(begin, end):
            root = roots[tree]
            at_0 = at_1 = at_2 = at_3 = at_4 = at_5 = at_6 = at_7 = root
            for _ in range(depths[tree]):
                at_0, at_1 = _step(keys, start_0, nodes, root, at_0), _step(keys, start_1, nodes, root, at_1)
                at_2, at_3 = _step(keys, start_2, nodes, root, at_2), _step(keys, start_3, nodes, root, at_3)
                at_4, at_5 = _step(keys, start_4, nodes, root, at_4), _step(keys, start_5, nodes, root, at_5)
                at_6, at_7 = _step(keys, start_6, nodes, root, at_6), _step(keys, start_7, nodes, root, at_7)
            sum_0 += values[at_0]
            sum_1 += values[at_1]
            sum_2 += values[at_2]
            sum_3 += values[at_3]
            sum_4 += values[at_4]
            sum_5 += values[at_5]
            sum_6 += values[at_6]
            sum_7 += values[at_7]
        sums[row_0], sums[row_1], sums[row_2], sums[row_3] = sum_0, sum_1, sum_2, sum_3
        sums[row_4], sums[row_5], sums[row_6], sums[row_7] = sum_4, sum_5, sum_6, sum_7
