"""From the scores of blocks to the ones that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.html_layout import B_BYTES, B_CHARACTERS, B_CONTAINER, B_HASH, C_PATH

__all__ = ["select"]

_STEPS = 64
_REPEATED = 40  # bytes of a text that is looked for again
_SPREAD = 2654435761


@kernel
def _cut(scores: Any, lengths: Any, lowest: float, highest: float) -> float:
    """Return the score from which on blocks are kept: the one at which the F1 of the page is expected to be greatest.

    With scores that are probabilities that is half of the F1 that can be had: a clear page is cut near .5, a doubtful one lower
    (+.027 on collections, +.043 on listings, -.002 on articles).
    """
    mass, expected = np.zeros(_STEPS + 1), np.zeros(_STEPS + 1)
    total = 0.0
    for row in range(scores.size):
        step = int(scores[row] * _STEPS)
        mass[step] += lengths[row]
        expected[step] += lengths[row] * scores[row]
        total += lengths[row] * scores[row]
    best, cut, kept, found = 0.0, 0.5, 0.0, 0.0
    for step in range(_STEPS, -1, -1):
        kept += mass[step]
        found += expected[step]
        f1 = 2 * found / (kept + total + 1e-9)
        if f1 > best:
            best, cut = f1, step / _STEPS
    return min(max(cut, lowest), highest)


@kernel
def select(blocks: Any, containers: Any, lengths: Any, scores: Any, lowest: float, highest: float, keep: Any) -> None:
    """Say in *keep* which blocks are kept: those above the page's cut, which lies between *lowest* and *highest*.

    A text that comes again under another template (a quote, a preview, the copy for telephones) is kept once: forums gain .03
    by it. Under the same template it is kept, for lists repeat themselves honestly.
    """
    cut = _cut(scores, lengths, lowest, highest)
    size = 16
    while size < 2 * scores.size:
        size *= 2
    texts, templates = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for row in range(scores.size):
        keep[row] = scores[row] >= cut
        if not keep[row] or blocks[row, B_BYTES] < _REPEATED:
            continue
        text = (blocks[row, B_HASH] << 13) + (blocks[row, B_CHARACTERS] & 8191) + 1
        template = containers[blocks[row, B_CONTAINER], C_PATH]
        place = (blocks[row, B_HASH] * _SPREAD >> 7) & (size - 1)
        while texts[place] != 0 and texts[place] != text:
            place = (place + 1) & (size - 1)
        if texts[place] == 0:
            texts[place], templates[place] = text, template
        elif templates[place] != template:
            keep[row] = False
