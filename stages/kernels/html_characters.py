"""Characters of HTML text: white space, character references, UTF-8."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.html_scan import look_up
from corpusmill.stages.kernels.html_tags import BLANK, CLASSES, HASH_FACTOR, HASH_MASK, HASH_START
from corpusmill.stages.kernels.text import decode

__all__ = ["next_character"]

# What a numeric reference to 0x80 … 0x9F means: windows-1252 (HTML Standard, "numeric character reference end state").
_C1 = np.array([ord(bytes([byte]).decode("cp1252", "ignore") or chr(byte)) for byte in range(0x80, 0xA0)], np.int64)
_LONGEST = 32  # letters of a name
_LONGEST_OPEN = 6  # of one that needs no semicolon
_BLANK, _NONE = 32, 0


@kernel
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


@kernel
def _named(page: Any, at: int, end: int, references: Any) -> tuple[int, int, int]:
    """Return (place behind the reference whose `&` is at *at*, its code point, a second one or 0); the place is *at* if none."""
    keys, values, first, second, open_ended = references
    hashed = HASH_START
    found, row = at, 0
    place, length = at + 1, 0
    while place < end and length < _LONGEST:
        byte = np.int64(page[place])
        if not (97 <= byte | 32 <= 122 or 48 <= byte <= 57):
            break
        hashed = ((hashed ^ byte) * HASH_FACTOR) & HASH_MASK
        place += 1
        length += 1
        closed = place < end and page[place] == 59
        if length > 1 and (closed or length <= _LONGEST_OPEN):
            entry = look_up(keys, values, hashed)
            if entry and (closed or open_ended[entry]):
                found, row = place + closed, entry
    return found, first[row], second[row]


@kernel
def next_character(page: Any, at: int, end: int, raw: bool, references: Any) -> tuple[int, int, int]:
    """Read a character: (place behind it, its code point, that of a second one or 0).

    White space of any kind, no-break and ideographic spaces among it, is a space; what has no width and controls are 0. In *raw*
    text `&` stands for itself.
    """
    byte = page[at]
    second = _NONE
    if byte < 128:
        code = np.int64(byte)
        after = at + 1
        if byte == 38 and not raw and after < end:
            if page[after] == 35:
                after, code = _numeric(page, at, end)
            else:
                after, code, second = _named(page, at, end, references)
            if after == at:
                return at + 1, 38, _NONE
    else:
        wide, place = decode(page, np.uint64(at), np.uint64(end))
        code, after = np.int64(wide), np.int64(place)
    if code < 128:
        if CLASSES[code] == BLANK:
            return after, _BLANK, _NONE
        if code < 32 or code == 127:
            return after, _NONE, _NONE
    elif (
        code == 0xA0 or code == 0x3000 or 0x2000 <= code <= 0x200A or code == 0x2028 or code == 0x2029 or code == 0x202F
    ):
        return after, _BLANK, _NONE
    elif code == 0x200B or code == 0xFEFF or code == 0xAD or code < 0xA0:
        return after, _NONE, _NONE
    return after, code, second
