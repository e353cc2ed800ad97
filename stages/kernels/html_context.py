"""What the second model is told besides: what the first one thinks of the block and of everything around it."""

from __future__ import annotations

from math import log1p
from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.html_feature_names import FEATURES
from corpusmill.stages.kernels.html_layout import B_CONTAINER, C_PARENT

__all__ = ["CONTEXT", "CONTEXT_NAMES", "describe_context"]

_WINDOWS = (3, 8, 20)
_NEAR = 3
_LEVELS = 5
_DEEPEST = 60
CONTEXT_NAMES = [
    *("score", *(f"score_{side}_{distance}" for distance in range(1, _NEAR + 1) for side in ("before", "behind"))),
    *(f"score_within_{window}" for window in _WINDOWS),
    *("template_score", "template_blocks"),
    *(f"container_{level}_score" for level in range(_LEVELS)),
    *(f"container_{level}_share" for level in range(_LEVELS)),
    *(
        "page_score",
        "page_best",
        "page_accepted",
        "score_before",
        "score_behind",
        "levels_to_half",
        "levels_to_most",
        "run",
    ),
]
CONTEXT = len(CONTEXT_NAMES)


@kernel
def describe_context(blocks: Any, containers: Any, lengths: Any, groups: Any, scores: Any, features: Any) -> None:
    """Fill the last `CONTEXT` columns of *features* from the scores of the first model."""
    count = blocks.shape[0]
    sums = np.zeros((containers.shape[0], 2))
    template_count = 0
    for group in groups:
        template_count = max(template_count, group + 1)
    templates = np.zeros((template_count, 3))
    # Up to here: roots of lengths, and these times scores.
    roots, rooted = np.zeros(count + 1), np.zeros(count + 1)
    best = total = mass = 0.0
    accepted = 0
    for row in range(count):
        container, length, score = blocks[row, B_CONTAINER], lengths[row], scores[row]
        root = length**0.5
        sums[container, 0] += length
        sums[container, 1] += length * score
        template = templates[groups[container]]
        template[0] += root
        template[1] += root * score
        template[2] += 1
        roots[row + 1], rooted[row + 1] = roots[row] + root, rooted[row] + root * score
        total += length
        mass += length * score
        best = max(best, score)
        accepted += score > 0.5
    for row in range(containers.shape[0] - 1, 0, -1):
        for column in range(2):
            sums[containers[row, C_PARENT], column] += sums[row, column]
    whole = max(mass, 1e-3)
    run = 0
    before = 0.0
    for row in range(count):
        x, container = features[row, FEATURES:], blocks[row, B_CONTAINER]
        x[0] = scores[row]
        at = 1
        for distance in range(1, _NEAR + 1):
            x[at] = scores[row - distance] if row >= distance else 0
            x[at + 1] = scores[row + distance] if row + distance < count else 0
            at += 2
        for window in _WINDOWS:
            first, last = max(0, row - window), min(count, row + window + 1)
            x[at] = (rooted[last] - rooted[first]) / (roots[last] - roots[first] + 1e-3)
            at += 1
        template = templates[groups[container]]
        x[at], x[at + 1] = template[1] / (template[0] + 1e-3), log1p(template[2])
        at += 2
        half = most = -1
        here, level = container, 0
        while level < _LEVELS or (here > 0 and level < _DEEPEST and most < 0):
            if level < _LEVELS:
                x[at + level] = sums[here, 1] / (sums[here, 0] + 1e-3)
                x[at + _LEVELS + level] = sums[here, 1] / whole
            if half < 0 and sums[here, 1] > 0.5 * whole:
                half = level
            if most < 0 and sums[here, 1] > 0.8 * whole:
                most = level
            here = max(containers[here, C_PARENT], 0)
            level += 1
        at += 2 * _LEVELS
        x[at], x[at + 1], x[at + 2] = mass / max(total, 1.0), best, accepted / count
        x[at + 3] = before / whole
        before += lengths[row] * scores[row]
        x[at + 4] = 1 - before / whole
        x[at + 5], x[at + 6] = half if half >= 0 else _DEEPEST, most if most >= 0 else _DEEPEST
        run = run + 1 if scores[row] > 0.5 else 0
        x[at + 7] = run
