"""Marks of Markdown that need a second look at what is written: how deep a line lies in lists and quotations, how long ticks are.

Both depend on text that is not known before it is decoded. So a block, a code span or a fenced block is written first and then
moved to make room: once each, so the time stays linear. Rejected: to decode it twice, once to count and once to write.

Rules: CommonMark 0.31.2 (https://spec.commonmark.org/0.31.2/), sections 4.5 (fences), 5.1 (quotations), 5.2 (items) and 6.1
(code spans).
"""

from __future__ import annotations

from typing import Any

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.html_layout import C_BITS, C_DEPTH, C_PARENT, C_TAG
from corpusmill.stages.kernels.html_tags import TAG_BITS, TAGS

__all__ = [
    "HIGHEST",
    "LONGEST_MARKS",
    "NESTING",
    "going_on",
    "indent",
    "nearest_common",
    "nesting_of",
    "write_code_end",
    "write_fence",
    "write_fence_end",
    "write_marks",
]

HIGHEST = 64
"""Levels of the tree that are looked at around a block."""
_DEEPEST = 8  # levels of lists and quotations that are written, and the innermost one below them
LONGEST_MARKS = 2 * (_DEEPEST + 1)
"""Bytes before a line, at most."""
_LEVELS = 31  # that a number of 64 bits holds

_LI, _TR, _PRE, _QUOTE = (TAGS[name] for name in ["li", "tr", "pre", "blockquote"])
NESTING = int(TAG_BITS[_LI] | TAG_BITS[_QUOTE])
"""Bits of a container within a list or a quotation."""

# What a level of a nesting is, two bits each, the outermost in the lowest.
_QUOTED, _ITEM, _NEW_ITEM = 1, 2, 3
_LOW_BITS = 0x5555555555555555

_NEWLINE, _SPACE, _DASH, _MORE, _TICK = 10, 32, 45, 62, 96


@inner
def nesting_of(containers: Any, here: int, begun: int) -> tuple[int, int]:
    """Return the lists and quotations around a container as a number, and the last item among them (or *begun*).

    Items behind *begun*, the last one of which something is written, begin here: containers are numbered as they open. Cells and
    preformatted text hold no lists.
    """
    nesting, last = 0, begun
    if containers[here, C_BITS] & NESTING:
        levels = 0
        for _ in range(HIGHEST):
            if here <= 0 or levels == _LEVELS:
                break
            tag = containers[here, C_TAG]
            if tag == _LI:
                nesting = nesting << 2 | (_NEW_ITEM if here > begun else _ITEM)
                last = max(last, here)
                levels += 1
            elif tag == _QUOTE:
                nesting = nesting << 2 | _QUOTED
                levels += 1
            elif tag == _TR or tag == _PRE:
                nesting, last, levels = 0, begun, 0
            here = containers[here, C_PARENT]
    return nesting, last


@inner
def going_on(nesting: int) -> int:
    """Return the same nesting where all its items have begun."""
    return nesting & ~((nesting >> 1) & _LOW_BITS)


@inner
def nearest_common(containers: Any, one: int, other: int) -> int:
    """Return the nearest container around both."""
    for _ in range(2 * HIGHEST):
        if one == other:
            break
        if containers[one, C_DEPTH] >= containers[other, C_DEPTH]:
            one = max(containers[one, C_PARENT], 0)
        else:
            other = max(containers[other, C_PARENT], 0)
    return one


@inner
def write_marks(nesting: int, bare: bool, out: Any, to: int) -> int:
    """Write what stands before a line; *bare*: before an empty one, where blanks are not needed."""
    level, last = 0, to
    while nesting:
        kind = nesting & 3
        nesting >>= 2
        if level < _DEEPEST or nesting == 0:
            out[to] = _MORE if kind == _QUOTED else _DASH if kind == _NEW_ITEM else _SPACE
            out[to + 1] = _SPACE
            last = last if kind == _ITEM else to + 1
            to += 2
        level += 1
    return last if bare else to


@inner
def _move(out: Any, begin: int, end: int, by: int) -> None:
    """Move bytes *by* places on."""
    for place in range(end - 1, begin - 1, -1):
        out[place + by] = out[place]


@inner
def indent(nesting: int, out: Any, begin: int, to: int) -> int:
    """Put the marks of a nesting, all of whose items have begun, before all lines from *begin* on but the first."""
    lines = empty = 0
    for place in range(begin, to):
        if out[place] == _NEWLINE:
            lines += 1
            empty += place + 1 < to and out[place + 1] == _NEWLINE
    if nesting == 0 or lines == 0:
        return to
    whole = write_marks(nesting, False, out, to) - to
    bare = write_marks(nesting, True, out, to) - to
    end = to + (lines - empty) * whole + empty * bare
    write_marks(nesting, False, out, end)  # to be copied from here
    place, behind = to - 1, end
    while place >= begin:
        if out[place] == _NEWLINE:
            size = bare if behind < end and out[behind] == _NEWLINE else whole
            behind -= size
            for at in range(size):
                out[behind + at] = out[end + at]
        behind -= 1
        out[behind] = out[place]
        place -= 1
    return end


@inner
def _longest_run(out: Any, begin: int, end: int) -> int:
    """Return how many ticks stand side by side at most."""
    longest = run = 0
    for place in range(begin, end):
        run = run + 1 if out[place] == _TICK else 0
        longest = max(longest, run)
    return longest


@inner
def _write_ticks(count: int, out: Any, to: int) -> int:
    for place in range(to, to + count):
        out[place] = _TICK
    return to + count


@inner
def write_code_end(out: Any, begin: int, to: int) -> int:
    """End a code span that began with one tick at *begin*; more of them, and blanks, where ticks in it make that necessary."""
    more = _longest_run(out, begin + 1, to)
    blank = out[begin + 1] == _TICK or out[to - 1] == _TICK
    if more:
        _move(out, begin + 1, to, more + blank)
        _write_ticks(more, out, begin + 1)
        to += more + blank
        if blank:
            out[begin + 1 + more] = out[to] = _SPACE
            to += 1
    return _write_ticks(1 + more, out, to)


@inner
def write_fence(nesting: int, out: Any, to: int) -> int:
    """Write the line that begins preformatted text, and the marks of the next."""
    to = _write_ticks(3, out, to)
    out[to] = _NEWLINE
    return write_marks(nesting, False, out, to + 1)


@inner
def write_fence_end(nesting: int, out: Any, begin: int, to: int) -> int:
    """Write the line that ends preformatted text, which began with three ticks at *begin*; longer ones than any in the text."""
    more = max(_longest_run(out, begin + 3, to) - 2, 0)
    if more:
        _move(out, begin + 3, to, more)
        _write_ticks(more, out, begin + 3)
        to += more
    out[to] = _NEWLINE
    to = write_marks(nesting, False, out, to + 1)
    return _write_ticks(3 + more, out, to)
