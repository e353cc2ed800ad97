"""The plain steps of `normalize_text` over the bytes of a text: `clean_characters`, and `clean_blanks` after normalization.

What text_cleaning.py does one step after the other on strings is here what becomes of one character: these steps look at a
character and at its neighbours among those that stay. White space is written when it is known that something follows, so what
stands at the end of lines and of the text goes without a look back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined
from corpusmill.stages.kernels.text_scan import decoded, size_of

__all__ = [
    "BREAK",
    "DROP",
    "ESCAPE",
    "FOLLOWS_JOINER",
    "JOINED",
    "JOINER",
    "KEEP",
    "LEADS_JOINER",
    "RETURN",
    "clean_blanks",
    "clean_characters",
]

KEEP, DROP, BREAK, RETURN, JOINER, ESCAPE = range(6)
"""What a character is: one that stays; one that goes; a line break; a carriage return; U+200C or U+200D; the start of a terminal
escape, which goes with what belongs to it."""
JOINED, LEADS_JOINER, FOLLOWS_JOINER = 8, 16, 32
"""Bits beside that: of a script that spells with joiners; an emoji that a joiner may follow; one that may follow a joiner."""

_KIND = np.uint8(7)
_0, _1, _2, _3 = (np.uint64(number) for number in range(4))
_7, _63, _127 = np.uint64(7), np.uint64(63), np.uint64(127)
_ZWJ = np.uint64(0x200D)
_TAB, _FEED, _SPACE = np.uint8(9), np.uint8(10), np.uint8(32)


@bare_kernel
def clean_characters(data: Any, page_of: Any, pages: Any, out: Any) -> int:
    """Write *data*, which is UTF-8, to *out* without what goes, and with line feeds for line breaks; return the number of bytes.

    They are never more. `pages[page_of[code >> 7], code & 127]` says what a character is; those of a step that is not asked for
    are KEEP.
    """
    at, to, end = _0, _0, np.uint64(data.size)
    before = np.uint8(0)  # what the last character is that stayed, or the last before a run of joiners
    first_joiner, has_zwj = _0, False
    while at < end:
        code = np.uint64(data[at])
        if code < 0x80:
            entry, size = pages[0, code], _1
        else:
            code = decoded(data, at, end)
            entry, size = pages[page_of[code >> _7], code & _127], size_of(code)
        kind = entry & _KIND
        if kind == JOINER:
            if not first_joiner:
                first_joiner = code
            has_zwj |= code == _ZWJ
        elif kind == ESCAPE:
            size = _escape_size(data, at, end)
        elif kind != DROP:
            if first_joiner:
                to = _joined(before, entry, first_joiner, has_zwj, out, to)
                first_joiner, has_zwj = _0, False
            before = entry
            if kind == KEEP:
                for place in range(size):
                    out[to + place] = data[at + place]
                to += size
            else:
                if kind == RETURN and at + _1 < end and data[at + _1] == _FEED:
                    size = _2
                out[to] = _FEED
                to += _1
        at += size
    if first_joiner:
        to = _joined(before, np.uint8(0), first_joiner, has_zwj, out, to)
    return np.int64(to)


@inlined
def _escape_size(data: Any, at: np.uint64, end: np.uint64) -> np.uint64:
    """Return the bytes of the terminal escape at *at*, 1 if what follows its first character makes it none."""
    to = at + _1
    if to < end and data[to] == 91:  # [
        to += _1
        while to < end and (48 <= data[to] <= 57 or data[to] == 59):  # 0 to 9 and ;
            to += _1
        if to < end and 97 <= (data[to] | 32) <= 122:
            return to + _1 - at
    return _1


@inlined
def _joined(before: np.uint8, after: np.uint8, first: np.uint64, has_zwj: bool, out: Any, to: np.uint64) -> np.uint64:
    """Write what stays of a run of joiners between two characters; return the position after it."""
    stays = _0
    if before & JOINED:
        stays = first if after & JOINED else (_ZWJ if has_zwj else _0)
    elif has_zwj and before & LEADS_JOINER and after & FOLLOWS_JOINER:
        stays = _ZWJ
    if not stays:
        return to
    out[to], out[to + _1], out[to + _2] = np.uint8(0xE2), np.uint8(0x80), np.uint8(0x80) | np.uint8(stays & _63)
    return to + _3


@inlined
def _blank_size(data: Any, at: np.uint64, end: np.uint64) -> np.uint64:
    """Return the bytes of the blank at *at* that is no space, tab or U+00A0; 0 if there is none."""
    if at + _2 >= end:
        return _0
    first, second, third = data[at], data[at + _1], data[at + _2]
    if first == 0xE2:
        if second == 0x80:  # U+2000 to U+200A, U+202F
            return _3 if third <= 0x8A or third == 0xAF else _0
        return _3 if second == 0x81 and third == 0x9F else _0  # U+205F
    if first == 0xE3:
        return _3 if second == 0x80 and third == 0x80 else _0  # U+3000
    return _3 if first == 0xE1 and second == 0x9A and third == 0x80 else _0  # U+1680


@bare_kernel
def clean_blanks(
    data: Any, white_space: bool, keep_indentation: bool, keep_tabs: bool, most_feeds: int, out: Any
) -> int:
    """Write *data*, which is UTF-8, to *out* with the blanks and line feeds that stay; return the number of bytes, never more.

    At most *most_feeds* line feeds are left in a row, with -1 as many as there are. Without *white_space* blanks stay.
    """
    at, to, end = _0, _0, np.uint64(data.size)  # *to* is behind what shows
    feeds, written = _0, _0  # line feeds since then, of which so many stay if something follows
    indentation = _0  # bytes that are written behind those
    in_indentation, shows = True, False  # of the line
    pending, has_tab = False, False  # blanks since the last character that shows
    while at < end:
        byte = data[at]
        if byte == _FEED:
            feeds += _1
            written = feeds if most_feeds < 0 else min(feeds, np.uint64(most_feeds))
            if white_space and to == _0:
                written = _0
            indentation, in_indentation, shows, pending, has_tab = _0, True, False, False, False
            at += _1
            continue
        if white_space:
            is_no_break = byte == 0xC2 and data[at + _1] == 0xA0
            if byte == _SPACE or byte == _TAB or is_no_break:
                if in_indentation:
                    if keep_indentation:
                        out[to + written + indentation] = _TAB if byte == _TAB else _SPACE
                        indentation += _1
                else:
                    pending = True
                    has_tab |= byte == _TAB
                at += _2 if is_no_break else _1
                continue
            size = _blank_size(data, at, end) if byte >= 0xE1 else _0
            if size:
                in_indentation, pending = False, True
                at += size
                continue
        if not shows:
            for place in range(written):
                out[to + place] = _FEED
            to += written + indentation
            feeds, written, indentation, in_indentation, shows = _0, _0, _0, False, True
        elif pending:
            out[to] = _TAB if has_tab and keep_tabs else _SPACE
            to += _1
        pending, has_tab = False, False
        out[to] = byte
        to += _1
        at += _1
        while at < end and data[at] & 0xC0 == 0x80:
            out[to] = data[at]
            to += _1
            at += _1
    if not white_space:
        for place in range(written):
            out[to + place] = _FEED
        to += written
    return np.int64(to)
