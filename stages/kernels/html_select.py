"""From the scores of blocks to the ones that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.html_layout import B_BYTES, B_CHARACTERS, B_CONTAINER, B_HASH, C_PATH

__all__ = ["select"]

_STEPS = 64
_DOUBTFUL, _CLEAR = 0.65, 0.88  # expected F1
_REPEATED = 40  # bytes of a text that is looked for again
_SPREAD = 2654435761


@kernel
def _cut(scores: Any, lengths: Any, lowest: float, highest: float) -> float:
    """Return the score from which on blocks are kept: the higher, the better the F1 that can be expected of the page.

    On a clear page nearly everything in doubt is boilerplate; on a doubtful one (lists, product pages) leaving it out costs half
    of the content. Against one cut for all pages at .5: +.004 on WCXB, +.001 on news. Rejected: the cut of the greatest
    expected F1, which never lies above .5 (-.003 over four sets).
    """
    mass, expected = np.zeros(_STEPS + 1), np.zeros(_STEPS + 1)
    total = 0.0
    for row in range(scores.size):
        step = int(scores[row] * _STEPS)
        mass[step] += lengths[row]
        expected[step] += lengths[row] * scores[row]
        total += lengths[row] * scores[row]
    best, kept, found = 0.0, 0.0, 0.0
    for step in range(_STEPS, -1, -1):
        kept += mass[step]
        found += expected[step]
        best = max(best, 2 * found / (kept + total + 1e-9))
    clear = (best - _DOUBTFUL) / (_CLEAR - _DOUBTFUL)
    return lowest + (highest - lowest) * min(max(clear, 0.0), 1.0)


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
