"""One scan over the bytes of texts: whether an automaton finds anything in them, and whether they are normalized.

The next state waits for the last one, two look-ups that sit in the first cache; characters are decoded beside that. Bytes that
are not UTF-8 count as a find, so that whoever makes a string of them says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined
from corpusmill.stages.text_cleaning import MOST_MARKS
from corpusmill.stages.unicode_forms import ALWAYS, MAYBE

__all__ = ["INVALID", "decoded", "find_in_lines", "find_in_texts", "size_of"]

_1, _2, _3, _4 = (np.uint64(number) for number in (1, 2, 3, 4))
_7, _127 = np.uint64(7), np.uint64(127)
_CLASS = np.uint32(0xFF)
_COMBINING = np.uint32(0xFF)
_ALWAYS, _MAYBE = np.uint32(ALWAYS), np.uint32(MAYBE)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_53, _21 = np.uint64(53), np.uint64(21)
INVALID = np.uint64(0xFFFFFFFF)
"""Stands for a code point where the bytes are none in UTF-8."""
_FEED = np.uint8(10)


@inlined
def decoded(data: Any, at: np.uint64, end: np.uint64) -> np.uint64:
    """Return the code point at *at*, where a byte of 0x80 or more is; INVALID if it is none in UTF-8."""
    first = np.uint64(data[at])
    if first < 0xE0:
        if first < 0xC2 or at + _1 >= end or data[at + _1] & 0xC0 != 0x80:
            return INVALID
        return (first & np.uint64(0x1F)) << np.uint64(6) | np.uint64(data[at + _1] & 0x3F)
    if first < 0xF0:
        if at + _2 >= end or data[at + _1] & 0xC0 != 0x80 or data[at + _2] & 0xC0 != 0x80:
            return INVALID
        code = (
            (first & np.uint64(0x0F)) << np.uint64(12)
            | np.uint64(data[at + _1] & 0x3F) << np.uint64(6)
            | np.uint64(data[at + _2] & 0x3F)
        )
        return INVALID if code < 0x800 or 0xD800 <= code < 0xE000 else code
    if at + _3 >= end or first > 0xF4:
        return INVALID
    if data[at + _1] & 0xC0 != 0x80 or data[at + _2] & 0xC0 != 0x80 or data[at + _3] & 0xC0 != 0x80:
        return INVALID
    code = (
        (first & _7) << np.uint64(18)
        | np.uint64(data[at + _1] & 0x3F) << np.uint64(12)
        | np.uint64(data[at + _2] & 0x3F) << np.uint64(6)
        | np.uint64(data[at + _3] & 0x3F)
    )
    return INVALID if code < 0x10000 or code > 0x10FFFF else code


@inlined
def size_of(code: np.uint64) -> np.uint64:
    """Return the bytes of a code point that is not ASCII."""
    return _2 + np.uint64(code >= 0x800) + np.uint64(code >= 0x10000)


@inlined
def _combines(starter: np.uint64, code: np.uint64, roots: Any, pairs: Any) -> bool:
    """Return whether *code* may combine with *starter*, the last character before it with combining class 0."""
    if starter >= np.uint64(roots.size):
        return False
    pair = np.uint64(roots[starter]) << _21 | code
    at = pair * _FACTOR >> _53
    while pairs[at]:
        if pairs[at] == pair:
            return True
        at = (at + _1) & np.uint64(pairs.size - 1)
    return False


@bare_kernel
def find_in_texts(
    data: Any,
    starts: Any,
    ends: Any,
    page_of: Any,
    pages: Any,
    transitions: Any,
    first_state: np.uint32,
    end_class: np.uint32,
    roots: Any,
    pairs: Any,
    found: Any,
) -> None:
    """Set *found* for each text in which the automaton finds something, or that is not normalized, or not UTF-8."""
    for row in range(starts.size):
        found[row] = _finds(
            data,
            np.uint64(starts[row]),
            np.uint64(ends[row]),
            page_of,
            pages,
            transitions,
            first_state,
            end_class,
            roots,
            pairs,
        )


@inlined
def _finds(
    data: Any,
    at: np.uint64,
    end: np.uint64,
    page_of: Any,
    pages: Any,
    transitions: Any,
    state: np.uint32,
    end_class: np.uint32,
    roots: Any,
    pairs: Any,
) -> bool:
    starter = np.uint64(0)
    marks_end, marks, last_class = np.uint64(0), 0, np.uint32(0)
    while at < end:
        code = np.uint64(data[at])
        if code < 0x80:
            at += _1
            state = transitions[state + (pages[0, code] & _CLASS)]
            starter = code
        else:
            code = decoded(data, at, end)
            if code == INVALID:
                return True
            entry = pages[page_of[code >> _7], code & _127]
            state = transitions[state + (entry & _CLASS)]
            begin = at
            at += size_of(code)
            attribute = entry >> np.uint32(8)
            if attribute:
                combining = attribute & _COMBINING
                if attribute & _ALWAYS or (attribute & _MAYBE and _combines(starter, code, roots, pairs)):
                    return True
                if combining:
                    if begin != marks_end:
                        marks, last_class = 0, np.uint32(0)
                    marks += 1
                    if combining < last_class or marks > MOST_MARKS:
                        return True
                    marks_end, last_class = at, combining
                else:
                    starter = code
            else:
                starter = code
        if state == 0:
            return True
    return bool(transitions[state + end_class] == 0)


@bare_kernel
def find_in_lines(
    data: Any,
    page_of: Any,
    pages: Any,
    transitions: Any,
    first_state: np.uint32,
    bounds: Any,
) -> int:
    """Write start and end of each line of *data* in which the automaton finds something to *bounds*; return how many.

    *data* is UTF-8. A line starts as a text does, and ends behind its line feed. *bounds* needs a row for each line.
    """
    count = 0
    at, begin, end = np.uint64(0), np.uint64(0), np.uint64(data.size)
    state = first_state
    while at < end:
        code = np.uint64(data[at])
        size = _1
        if code >= 0x80:
            code = decoded(data, at, end)
            size = size_of(code)
        at += size
        state = transitions[state + (pages[page_of[code >> _7], code & _127] & _CLASS)]
        if state == 0:
            while at < end and data[at - _1] != _FEED:
                at += _1
            bounds[count, 0], bounds[count, 1] = begin, at
            count += 1
        elif code != 10:
            continue
        begin, state = at, first_state
    return count
