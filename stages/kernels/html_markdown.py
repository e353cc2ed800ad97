"""The text of kept blocks as Markdown: the rules of CommonMark, and GitHub's tables, which it lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inner
from corpusmill.stages.kernels.html_layout import B_CONTAINER, B_PIECE, BREAK, C_BITS, C_TAG, P_KIND
from corpusmill.stages.kernels.html_marks import (
    going_on,
    indent,
    nearest_common,
    nesting_of,
    write_fence,
    write_fence_end,
    write_marks,
)
from corpusmill.stages.kernels.html_render import CELL, LINE, PARAGRAPH, TR, between, empty_cells, nearest, write_block
from corpusmill.stages.kernels.html_tags import TAG_BITS, TAGS

__all__ = ["render_markdown"]

_H1, _H6, _TABLE, _FENCED = (TAGS[name] for name in ["h1", "h6", "table", "pre"])
_PRE = int(TAG_BITS[_FENCED])
_NEWLINE, _SPACE, _BAR, _DASH, _HASH = 10, 32, 124, 45, 35


@inner
def _write_row_end(nesting: int, out: Any, to: int, cells: int, first: bool) -> int:
    """Write the end of a Markdown row, and the line below the first row of a table."""
    out[to], out[to + 1] = _SPACE, _BAR
    to += 2
    if first:
        out[to] = _NEWLINE
        to = write_marks(nesting, False, out, to + 1)
        out[to] = _BAR
        to += 1
        for _ in range(cells):
            out[to] = out[to + 1] = out[to + 2] = _DASH
            out[to + 3] = _BAR
            to += 4
    return to


@bare_kernel
def render_markdown(
    page: Any,
    blocks: Any,
    containers: Any,
    pieces: Any,
    keep: Any,
    references: Any,
    links: int,
    out: Any,
) -> int:
    """Write the kept blocks to *out* as Markdown and return its length; the arguments are those of `html_render.render`."""
    to = 0
    before = item = table = -1
    cells, first_row, fenced, fence = 0, False, False, 0
    nesting = np.int64(0)
    for row in range(blocks.shape[0]):
        if not keep[row]:
            continue
        block = blocks[row]
        container = block[B_CONTAINER]
        gap, goes_on = LINE, False
        if before >= 0:
            gap = between(containers, before, container, pieces[block[B_PIECE], P_KIND] == BREAK)
            if cells and gap != CELL:
                goes_on = nearest(containers, container, TR) == nearest(containers, before, TR)
        if goes_on:
            out[to] = _SPACE  # one more paragraph of a cell
            to += 1
        elif gap == CELL and cells:
            empty = empty_cells(containers, nearest_common(containers, before, container), before, container)
            for _ in range(empty + 1):
                out[to], out[to + 1], out[to + 2] = _SPACE, _BAR, _SPACE
                to += 3
            cells += empty + 1
        else:
            begun = item
            around, item = nesting_of(containers, container, begun)
            if before >= 0:
                common = np.int64(0)
                if nesting and around:
                    common, _ = nesting_of(containers, nearest_common(containers, before, container), begun)
                if cells:
                    to = _write_row_end(nesting, out, to, cells, first_row)
                goes_on = fenced and nearest(containers, container, _FENCED) == nearest(containers, before, _FENCED)
                goes_on = goes_on and nearest(containers, container, TR) < 0
                if fenced and not goes_on:
                    to = write_fence_end(nesting, out, fence, to)
                out[to] = _NEWLINE
                to += 1
                # What follows a list in the same item or quotation would go on with the paragraph of its last item.
                if gap == PARAGRAPH or (nesting != common and item == begun):
                    to = write_marks(common, True, out, to)
                    out[to] = _NEWLINE
                    to += 1
                cells, fenced = 0, goes_on
            to = write_marks(around, False, out, to)
            nesting = going_on(around)
            line = nearest(containers, container, TR)
            if line >= 0:
                out[to], out[to + 1] = _BAR, _SPACE
                to += 2
                empty = empty_cells(containers, line, -1, container)
                for _ in range(empty):
                    out[to], out[to + 1] = _BAR, _SPACE
                    to += 2
                cells = empty + 1
                inside = nearest(containers, line, _TABLE)
                first_row, table = inside != table, inside
            elif containers[container, C_BITS] & _PRE and not fenced:
                fence, to, fenced = to, write_fence(nesting, out, to), True
        heading = _H1 <= containers[container, C_TAG] <= _H6
        if heading and not cells and not fenced:
            for _ in range(containers[container, C_TAG] - _H1 + 1):
                out[to] = _HASH
                to += 1
            out[to] = _SPACE
            to += 1
        start, cell = to, cells > 0
        to = write_block(page, block, pieces, references, links, not fenced, cell or heading, cell, out, to)
        if nesting and not cell:
            to = indent(nesting, out, start, to)
        before = container
    if cells:
        to = _write_row_end(nesting, out, to, cells, first_row)
    if fenced:
        to = write_fence_end(nesting, out, fence, to)
    return to
