"""Characters of HTML text: white space, character references, UTF-8."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.html_tags import BLANK, CLASSES, HASH_FACTOR, HASH_MASK, HASH_START
from corpusmill.stages.kernels.text import decode

__all__ = [
    "REFERENCE_COLUMNS",
    "R_FIRST",
    "R_HASH",
    "R_OPEN",
    "R_SECOND",
    "is_newline",
    "next_character",
    "wide_character",
]

R_HASH, R_FIRST, R_SECOND, R_OPEN, REFERENCE_COLUMNS = range(5)
"""Columns of the table of named references: hash of the name (0: free), code point, a second or 0, needs no semicolon."""

# What a numeric reference to 0x80 … 0x9F means: windows-1252 (HTML Standard, "numeric character reference end state").
_C1 = np.array([ord(bytes([byte]).decode("cp1252", "ignore") or chr(byte)) for byte in range(0x80, 0xA0)], np.int64)
_LONGEST = 32  # letters of a name
_LONGEST_OPEN = 6  # of one that needs no semicolon
_BLANK, _NONE = 32, 0


@inner
def _numeric(page: Any, at: int, end: int) -> tuple[int, int]:
    """Return (place behind the reference whose `&#` is at *at*, code point); the place is *at* if it is none."""
    place = at + 2
    base = 10
    if place < end and page[place] | 32 == 120:
        base = 16
        place += 1
    begin, code = place, 0
    while place < end:
        byte = np.int64(page[place])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif base == 16 and 97 <= byte | 32 <= 102:
            digit = (byte | 32) - 87
        else:
            break
        code = min(code * base + digit, 0x110000)
        place += 1
    if place == begin:
        return at, 0
    if place < end and page[place] == 59:
        place += 1
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        code = 0xFFFD
    elif 0x80 <= code <= 0x9F:
        code = _C1[code - 0x80]
    return place, code


@inner
def is_newline(page: Any, at: int, end: int) -> bool:
    """Return whether the reference whose `&` is at *at* is one to a line feed or carriage return."""
    return at + 1 < end and page[at + 1] == 35 and _numeric(page, at, end)[1] in (10, 13)


@inner
def _named(page: Any, at: int, end: int, references: Any) -> tuple[int, int, int]:
    """Return (place behind the reference whose `&` is at *at*, its code point, a second one or 0); the place is *at* if none."""
    hashed = HASH_START
    found, row = at, 0
    place, length = at + 1, 0
    last = references.shape[0] - 1
    while place < end and length < _LONGEST:
        byte = np.int64(page[place])
        if not (97 <= byte | 32 <= 122 or 48 <= byte <= 57):
            break
        hashed = ((hashed ^ byte) * HASH_FACTOR) & HASH_MASK
        place += 1
        length += 1
        closed = place < end and page[place] == 59
        if length > 1 and (closed or length <= _LONGEST_OPEN):
            entry = hashed & last
            while references[entry, R_HASH] != 0 and references[entry, R_HASH] != hashed:
                entry = (entry + 1) & last
            if references[entry, R_HASH] and (closed or references[entry, R_OPEN]):
                found, row = place + closed, entry
    return found, references[row, R_FIRST], references[row, R_SECOND]


@inner
def _as_shown(code: int) -> int:
    """Return a space for white space of any kind, no-break and ideographic spaces among it, and 0 for what shows nothing."""
    if code < 128:
        if CLASSES[code] == BLANK:
            return _BLANK
        return _NONE if code < 32 or code == 127 else code
    if (
        code == 0xA0 or code == 0x3000 or code == 0x2028 or code == 0x2029 or code == 0x202F or code == 0x205F
    ) or 0x2000 <= code <= 0x200A:
        return _BLANK
    # Controls from 0x80 to 0x9F stay: where text was read in the wrong encoding they are halves of letters that can be repaired.
    return _NONE if (code == 0x200B or code == 0xFEFF or code == 0xAD) else code


@inner
def wide_character(page: Any, at: int, end: int) -> tuple[int, int]:
    """Read a character whose first byte is at least 128: (place behind it, its code point as shown)."""
    code, after = decode(page, np.uint64(at), np.uint64(end))
    return np.int64(after), _as_shown(np.int64(code))


@inner
def next_character(page: Any, at: int, end: int, raw: bool, references: Any) -> tuple[int, int, int]:
    """Read a character: (place behind it, its code point as shown, that of a second one or 0). In *raw* text `&` is itself.

    Slow, because of what a call hands over: callers read plain characters themselves.
    """
    byte = page[at]
    if byte >= 128:
        after, code = wide_character(page, at, end)
        return after, code, _NONE
    if byte == 38 and not raw and at + 1 < end:
        code, second = 0, _NONE
        if page[at + 1] == 35:
            after, code = _numeric(page, at, end)
        else:
            after, code, second = _named(page, at, end, references)
        return (at + 1, 38, _NONE) if after == at else (after, _as_shown(code), second)
    return at + 1, _as_shown(np.int64(byte)), _NONE
