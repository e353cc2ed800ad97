"""The text of kept blocks: references decoded, white space collapsed, blocks apart as readers see them.

Plain text is written here, Markdown in `html_markdown.py`, so that who wants none does not wait for its compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inner
from corpusmill.stages.kernels.html_characters import is_newline, next_character, wide_character
from corpusmill.stages.kernels.html_layout import (
    B_CHARACTERS,
    B_CONTAINER,
    B_PIECE,
    B_PIECES,
    BREAK,
    C_BITS,
    C_DEPTH,
    C_ITEMS,
    C_PARENT,
    C_TAG,
    CODE,
    CODE_END,
    LINK,
    P_BEGIN,
    P_END,
    P_KIND,
    RAW_TEXT,
    VERBATIM,
)
from corpusmill.stages.kernels.html_marks import (
    HIGHEST,
    LONGEST_MARKS,
    NESTING,
    nearest_common,
    write_code_end,
)
from corpusmill.stages.kernels.html_tags import CLASSES, DIGIT, TAG_BITS, TAGS
from corpusmill.stages.kernels.text import encode

__all__ = [
    "CELL",
    "LINE",
    "LINKS_DROPPED",
    "LINKS_MARKED",
    "LINKS_TEXT",
    "PARAGRAPH",
    "TR",
    "between",
    "empty_cells",
    "nearest",
    "render",
    "room_for",
    "write_block",
]

LINKS_DROPPED, LINKS_TEXT, LINKS_MARKED = range(3)

_LI, _UL, _OL, _TD, _TH, TR, _TABLE, _TBODY, _THEAD, _TFOOT = (
    TAGS[name] for name in ["li", "ul", "ol", "td", "th", "tr", "table", "tbody", "thead", "tfoot"]
)
_TABULATED = int(TAG_BITS[_TABLE])
_PARAGRAPHS = np.zeros(max(TAGS.values()) + 2, np.uint8)
"""Tags around which an empty line is due."""
for _name in [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "dl",
    "table",
    "pre",
    "blockquote",
    "figure",
    "article",
    "section",
    "listing",
    "xmp",
    "address",
]:
    _PARAGRAPHS[TAGS[_name]] = 1
_DEEPEST_LIST = 8
_LONGEST_LINK = 2000
# Cells without text between two others, and containers among which they are looked for.
_MOST_EMPTY, _CELL_REACH = 16, 256
_LONGEST_CELL = 200  # characters of a block behind empty cells: before longer ones they are margins of a layout
_NEWLINE, _RETURN, _SPACE, _TAB, _BAR, _DASH, _HASH, _TICK = 10, 13, 32, 9, 124, 45, 35, 96
_AND, _SEMICOLON, _EQUALS, _BACKSLASH, _PERCENT = 38, 59, 61, 92, 37
_HEXADECIMAL = np.frombuffer(b"0123456789ABCDEF", np.uint8)

# What lies between two blocks.
CELL, LINE, PARAGRAPH = range(3)


@bare_kernel
def room_for(blocks: Any, containers: Any, pieces: Any, keep: Any) -> int:
    """Return how many bytes the text of the kept blocks can take at most.

    An invalid byte becomes three, and each line within a list or a quotation has marks in Markdown.
    """
    size = 64
    for row in range(blocks.shape[0]):
        if keep[row]:
            size += 256
            marks = LONGEST_MARKS if containers[blocks[row, B_CONTAINER], C_BITS] & NESTING else 0
            for piece in range(blocks[row, B_PIECE], blocks[row, B_PIECES]):
                lines = pieces[piece, P_KIND] == VERBATIM or pieces[piece, P_KIND] == RAW_TEXT
                size += (3 + marks * lines) * (pieces[piece, P_END] - pieces[piece, P_BEGIN]) + 8 + marks
    return size


@inner
def between(containers: Any, one: int, other: int, broken: bool) -> int:
    """Return what lies between two blocks: the next cell of a row, a new line, or an empty line."""
    if one == other:
        return PARAGRAPH if broken else LINE
    paragraph = listed = False
    last_one = last_other = 0
    for _ in range(2 * HIGHEST):
        if one == other:
            break
        if containers[one, C_DEPTH] >= containers[other, C_DEPTH]:
            last_one = containers[one, C_TAG]
            listed |= last_one == _UL or last_one == _OL
            paragraph |= _PARAGRAPHS[last_one] != 0
            one = max(containers[one, C_PARENT], 0)
        else:
            last_other = containers[other, C_TAG]
            listed |= last_other == _UL or last_other == _OL
            paragraph |= _PARAGRAPHS[last_other] != 0
            other = max(containers[other, C_PARENT], 0)
    common = containers[one, C_TAG]
    if common == TR and (last_one == _TD or last_one == _TH) and (last_other == _TD or last_other == _TH):
        return CELL
    if common == _TABLE or common == _TBODY or common == _THEAD or common == _TFOOT:
        return LINE
    return PARAGRAPH if paragraph or (listed and containers[one, C_ITEMS] == 0) else LINE


@inner
def nearest(containers: Any, here: int, tag: int) -> int:
    """Return the nearest container of a tag at or above *here*, or -1."""
    for _ in range(HIGHEST):
        if here <= 0:
            return -1
        if containers[here, C_TAG] == tag:
            return here
        here = containers[here, C_PARENT]
    return -1


@inner
def empty_cells(containers: Any, line: int, before: int, here: int) -> int:
    """Return how many cells without text lie in a row between the cells that hold two containers; *before* is -1 at its start."""
    first = line
    for _ in range(HIGHEST):
        if before <= line:
            break
        first = before
        before = containers[before, C_PARENT]
    for _ in range(HIGHEST):
        if here <= line or containers[here, C_PARENT] == line:
            break
        here = containers[here, C_PARENT]
    found = 0
    for place in range(first + 1, min(here, first + _CELL_REACH)):
        tag = containers[place, C_TAG]
        found += containers[place, C_PARENT] == line and (tag == _TD or tag == _TH)
    return min(found, _MOST_EMPTY)


@inner
def _write_escaped(code: int, out: Any, to: int) -> int:
    """Write an ASCII character as URLs escape it."""
    out[to], out[to + 1], out[to + 2] = _PERCENT, _HEXADECIMAL[code >> 4], _HEXADECIMAL[code & 15]
    return to + 3


@inner
def _write_link(page: Any, begin: int, end: int, references: Any, out: Any, to: int) -> int:
    """Write `](target)`: without line breaks and blanks around it, and with what would end it in Markdown escaped."""
    out[to], out[to + 1] = 93, 40
    to += 2
    at, blanks, start = begin, 0, to
    while at < end and end - begin <= _LONGEST_LINK:
        after, code, _ = next_character(page, at, end, False, references)
        named = page[at] == _AND and page[at + 1] != _HASH
        if named and page[after - 1] != _SEMICOLON and after < end:
            follows = page[after]
            if (
                follows == _EQUALS or CLASSES[follows] >= DIGIT
            ):  # in attributes `&copy=1` and `&sections` are no references
                after, code = at + 1, np.int64(_AND)
        byte = page[at]
        at = after
        if code == _SPACE:
            blanks += to > start and byte != _NEWLINE and byte != _RETURN and byte != _TAB
        elif code > _SPACE:
            for _ in range(blanks):
                to = _write_escaped(_SPACE, out, to)
            blanks = 0
            if code == 40 or code == 41 or code == 60 or code == 62:
                to = _write_escaped(code, out, to)
            else:
                to = np.int64(encode(np.uint64(code), out, np.uint64(to)))
    out[to] = 41
    return to + 1


@inner
def write_block(
    page: Any,
    block: Any,
    pieces: Any,
    references: Any,
    links: int,
    marked: bool,
    flat: bool,
    cell: bool,
    out: Any,
    start: int,
) -> int:
    """Write the text of a block from *start* on and return where it ends. *flat*: on one line; *marked*: code in ticks."""
    to, pending = start, 0
    linked = opened = code_due = coded = False
    link_begin = link_end = codes = code_begin = 0
    for number in range(block[B_PIECE], block[B_PIECES]):
        kind, at, end = pieces[number, P_KIND], pieces[number, P_BEGIN], pieces[number, P_END]
        if kind > RAW_TEXT:
            if kind == BREAK:
                pending = 1 if flat else 2
            elif kind == CODE:
                codes += 1
                code_due = marked and not coded
            elif kind == CODE_END:
                codes = max(codes - 1, 0)
                if codes == 0:
                    code_due = False
                    if coded:
                        to, coded = write_code_end(out, code_begin, to), False
            else:
                if opened:
                    to = _write_link(page, link_begin, link_end, references, out, to)
                linked, opened, link_begin, link_end = kind == LINK, False, at, end
            continue
        if linked and links == LINKS_DROPPED:
            pending = max(pending, 1)
            continue
        verbatim = (kind == VERBATIM or kind == RAW_TEXT) and not flat
        while at < end:
            byte, before = page[at], at
            if verbatim and (byte == _NEWLINE or byte == _SPACE or byte == _TAB or byte == _RETURN):
                at += 1
                if byte == _RETURN:
                    if at < end and page[at] == _NEWLINE:
                        continue
                    byte = np.uint8(_NEWLINE)
                if pending == 2:
                    out[to] = _NEWLINE
                    to += 1
                pending = 0
                if to > start or byte != _NEWLINE:
                    out[to] = byte
                    to += 1
                continue
            code, second = np.int64(byte), 0
            if byte > _SPACE and byte < 127 and byte != 38:
                at += 1
            else:
                if byte >= 128:
                    at, code = wide_character(page, at, end)
                else:
                    at, code, second = next_character(page, at, end, kind == RAW_TEXT, references)
                if code == 0:
                    continue
                if code == _SPACE and verbatim:  # a no-break space, a reference
                    code = np.int64(_NEWLINE if byte == _AND and is_newline(page, before, end) else _SPACE)
                elif code == _SPACE:
                    pending = max(pending, 1)
                    continue
            if pending and to > start:
                out[to] = _NEWLINE if pending == 2 else _SPACE
                to += 1
            pending = 0
            if linked and not opened and links == LINKS_MARKED:
                out[to] = 91
                to, opened = to + 1, True
            if code_due:
                out[to] = _TICK
                code_begin, to, code_due, coded = to, to + 1, False, True
            if cell and code == _BAR:
                out[to] = _BACKSLASH
                to += 1
            if code < 128:
                out[to] = code
                to += 1
            else:
                to = np.int64(encode(np.uint64(code), out, np.uint64(to)))
            if second:
                to = np.int64(encode(np.uint64(second), out, np.uint64(to)))
    if coded:
        to = write_code_end(out, code_begin, to)
    if opened:
        to = _write_link(page, link_begin, link_end, references, out, to)
    while to > start and (out[to - 1] == _NEWLINE or out[to - 1] == _SPACE or out[to - 1] == _TAB):
        to -= 1
    return to


@inner
def _write_dash(containers: Any, container: int, out: Any, to: int) -> int:
    """Write the dash of the list item that begins with a block of plain text, as deep as the item lies."""
    for _ in range(2 * min(max(containers[container, C_ITEMS] - 1, 0), _DEEPEST_LIST)):
        out[to] = _SPACE
        to += 1
    out[to], out[to + 1] = _DASH, _SPACE
    return to + 2


@bare_kernel
def render(
    page: Any,
    blocks: Any,
    containers: Any,
    pieces: Any,
    keep: Any,
    references: Any,
    links: int,
    bullets: bool,
    out: Any,
) -> int:
    """Write the kept blocks to *out* as plain text and return its length.

    *links* is one of the constants of this module; a block of links alone must not be kept where they are dropped, and those of
    `LINKS_MARKED` are marked as in Markdown. *bullets* asks for a dash before list items.
    """
    to = 0
    before = item = -1
    for row in range(blocks.shape[0]):
        if not keep[row]:
            continue
        block = blocks[row]
        container = block[B_CONTAINER]
        gap = LINE
        if before >= 0:
            gap = between(containers, before, container, pieces[block[B_PIECE], P_KIND] == BREAK)
            if gap != CELL:
                out[to] = _NEWLINE
                to += 1
            if gap == PARAGRAPH:
                out[to] = _NEWLINE
                to += 1
        empty = 0
        if gap == CELL:
            empty = 1 + empty_cells(containers, nearest_common(containers, before, container), before, container)
        elif containers[container, C_BITS] & _TABULATED and block[B_CHARACTERS] <= _LONGEST_CELL:
            line = nearest(containers, container, TR)
            if line >= 0 and (
                row == 0 or blocks[row - 1, B_CONTAINER] < line
            ):  # no text in the row before, kept or not
                empty = empty_cells(containers, line, -1, container)
        for _ in range(empty):
            out[to] = _TAB
            to += 1
        if bullets:
            # An item of several blocks has one dash, also where a list within it parts them: items are numbered as they begin.
            inside = nearest(containers, container, _LI)
            if inside > item:
                to = _write_dash(containers, container, out, to)
            item = max(item, inside)
        to = write_block(page, block, pieces, references, links, False, False, False, out, to)
        before = container
    return to
