"""Boosted trees against a plain walk through them, one row and one tree after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from corpusmill.stages.kernels import boosted_trees
from corpusmill.stages.kernels.boosted_trees import pack_trees, predict

FEATURES = 5


def grown(
    trees: int, rng: np.random.Generator
) -> tuple[list[int], list[int], list[int], list[int], list[float], list[float]]:
    """Trees of up to three levels, some of them with leaves higher up: (root, depth) and (child, feature, threshold, value)."""
    roots, depths, child, feature = [list[int]() for _ in range(4)]
    threshold, value = list[float](), list[float]()

    def node() -> int:
        at = len(child)
        child.append(at)
        feature.append(0)
        threshold.append(math.inf)
        value.append(float(np.float32(rng.normal() / 4)))
        return at

    for _ in range(trees):
        roots.append(node())
        depths.append(3)
        level = [roots[-1]]
        for _ in range(3):
            below = []
            for at in level:
                if at == roots[-1] or rng.random() < 0.7:
                    feature[at], threshold[at] = int(rng.integers(FEATURES)), float(np.float32(rng.normal()))
                    child[at] = node()
                    below += [child[at], node()]
            level = below
    return roots, depths, child, feature, threshold, value


def walked(row: npt.NDArray[np.float32], trees: Sequence[Any], asked: int) -> float:
    """The sum of the values of a row's leaves in the first *asked* trees."""
    roots, _, child, feature, threshold, value = trees
    total = np.float32(0)
    for root in roots[:asked]:
        at = root
        while child[at] != at:
            at = int(child[at]) + int(row[feature[at]] > threshold[at])
        total += np.float32(value[at])
    return float(total)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("count", [3, 40, 41, 90])
def test_trees_give_what_a_plain_walk_gives(rows: int, count: int) -> None:
    rng = np.random.default_rng(count)
    trees = grown(count, rng)
    features = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    features[rng.random(features.shape) < 0.1] = 0
    first = boosted_trees._FIRST_TREES
    expected = []
    for row in features:
        total = walked(row, trees, first)
        if abs(total) < boosted_trees._DECIDED:
            total = walked(row, trees, count)
        else:
            total *= 1 + boosted_trees._SURER * math.log(count / min(first, count))
        expected.append(1 / (1 + math.exp(-total)))
    scores = np.empty(rows, np.float32)
    predict(features, pack_trees(*map(np.array, trees)), scores)
    assert scores == pytest.approx(np.array(expected), abs=1e-5)
    if rows == 100 and count == 90:
        decided = [abs(walked(row, trees, first)) >= boosted_trees._DECIDED for row in features]
        assert 5 < sum(decided) < 95
