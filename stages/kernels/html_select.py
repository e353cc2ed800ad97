"""From the scores of blocks to the ones that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.html_layout import (
    B_BYTES,
    B_CHARACTERS,
    B_CONTAINER,
    B_HASH,
    B_LINKED,
    C_PARENT,
    C_PATH,
    C_TAG,
)
from corpusmill.stages.kernels.html_tags import TAGS

__all__ = ["complete_rows", "select"]

_STEPS = 64
_DOUBTFUL, _CLEAR = 0.65, 0.88  # expected F1
_REPEATED = 40  # bytes of a text that is looked for again
_SPREAD = 2654435761
_ROW, _CELL, _HEADER = (TAGS[name] for name in ["tr", "td", "th"])
_LONGEST_CELL = 200  # characters of a block: rows of longer ones are layout
_REACH = 8  # levels from a block up to its row


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
    by it. Under the same template it is kept, for lists repeat themselves honestly. A link gives way to the same text that is
    none: the heading is kept and not its entry in the table of contents (+.0003 on WCXB, 27 of 29 pages better).
    """
    cut = _cut(scores, lengths, lowest, highest)
    size = 16
    while size < 2 * scores.size:
        size *= 2
    texts, templates, firsts = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
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
            texts[place], templates[place], firsts[place] = text, template, row
        elif templates[place] != template:
            first = firsts[place]
            plain = blocks[row, B_LINKED] < blocks[row, B_CHARACTERS]
            if plain and blocks[first, B_LINKED] >= blocks[first, B_CHARACTERS] and scores[row] >= scores[first]:
                keep[first] = False
                templates[place], firsts[place] = template, row
            else:
                keep[row] = False


@kernel
def _cell_of(containers: Any, container: int) -> tuple[int, int]:
    """Return the row of a table that *container* is in, and its cell there, or -1 and -1."""
    cell = -1
    for _ in range(_REACH):
        if container <= 0:
            break
        tag = containers[container, C_TAG]
        if tag == _CELL or tag == _HEADER:
            cell = container
        elif tag == _ROW:
            return container, cell
        container = containers[container, C_PARENT]
    return -1, -1


@kernel
def complete_rows(blocks: Any, containers: Any, keep: Any) -> None:
    """Keep the rest of a row of short cells of which half or more is kept: names without their years say nothing.

    The model judges each cell for itself. F1 against none: WCXB +.0006 (50 of 65 pages better), news of five languages -.0001,
    other news the same. Rejected: to drop the rest of the other rows too (-.0006 by words), for layouts are tables as well.
    """
    begin = 0
    while begin < keep.size:
        line, cell = _cell_of(containers, blocks[begin, B_CONTAINER])
        several, longest, total, kept = False, 0, 0, 0
        end = begin
        while end < keep.size:
            other, other_cell = _cell_of(containers, blocks[end, B_CONTAINER])
            if other != line:
                break
            several |= other_cell != cell
            longest = max(longest, blocks[end, B_CHARACTERS])
            total += blocks[end, B_CHARACTERS]
            kept += blocks[end, B_CHARACTERS] * keep[end]
            end += 1
        if line >= 0 and several and longest <= _LONGEST_CELL and kept < total <= 2 * kept:
            for block in range(begin, end):
                keep[block] = True
        begin = end
