"""From the bytes of a text to the hashes of its words and to its normalized bytes, in one scan.

The loop has no branch for ASCII: what a byte does to the word hash, to the output and to the counts is arithmetic on two table
look-ups, because words end after five letters on average and a branch on that is mispredicted every time. Results are stored
speculatively and kept by moving the write position. Everything is unsigned: numba guards signed indices against being negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel

__all__ = ["decode", "encode", "letter", "mix", "scan"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LETTERS = np.uint64(int.from_bytes(b"letters1", "big"))
_WORD = np.uint64(0xF1357AEA2E62A9C5)

_0, _1, _2, _3, _4, _6, _7, _12, _18 = (np.uint64(number) for number in (0, 1, 2, 3, 4, 6, 7, 12, 18))
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SPACE, _UNSPACED = np.uint64(1), np.uint64(3)
_REPLACEMENT = np.uint64(0xFFFD)


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Return the output function of splitmix64, a bijection whose every output bit depends on every input bit."""
    value = (value ^ (value >> _30)) * _MIX_1
    value = (value ^ (value >> _27)) * _MIX_2
    return value ^ (value >> _31)


@kernel
def letter(code: np.uint64) -> np.uint64:
    """Return the value of a code point in word hashes: the output number *code* of splitmix64 seeded with "letters1"."""
    return mix(_LETTERS + (code + _1) * _GOLDEN)


@kernel
def decode(data: Any, at: np.uint64, end: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the code point at *at*, where a byte of 0x80 and more is, and the position after it. Reads below *end* only.

    Bytes that are not UTF-8 give U+FFFD, one for each maximal subpart (Unicode 3.9, and `bytes.decode` with "replace").
    """
    first = np.uint64(data[at])
    at += _1
    if first < 0xC2 or first > 0xF4:
        return _REPLACEMENT, at
    # The second byte alone has a range that depends on the first: no overlong forms, no surrogates, nothing past U+10FFFF.
    low, high = np.uint64(0x80), np.uint64(0xBF)
    if first < 0xE0:
        code, more = first & np.uint64(0x1F), _1
    elif first < 0xF0:
        code, more = first & np.uint64(0x0F), _2
        if first == 0xE0:
            low = np.uint64(0xA0)
        elif first == 0xED:
            high = np.uint64(0x9F)
    else:
        code, more = first & _7, _3
        if first == 0xF0:
            low = np.uint64(0x90)
        elif first == 0xF4:
            high = np.uint64(0x8F)
    while more:
        if at >= end:
            return _REPLACEMENT, at
        byte = np.uint64(data[at])
        if byte < low or byte > high:
            return _REPLACEMENT, at
        code = (code << _6) | (byte & np.uint64(0x3F))
        low, high = np.uint64(0x80), np.uint64(0xBF)
        at += _1
        more -= _1
    return code, at


@kernel
def encode(code: np.uint64, out: Any, at: np.uint64) -> np.uint64:
    """Write *code* to *out* as UTF-8 and return the position after it."""
    if code < 0x80:
        out[at] = code
        return at + _1
    if code < 0x800:
        out[at] = np.uint64(0xC0) | (code >> _6)
        out[at + _1] = np.uint64(0x80) | (code & np.uint64(0x3F))
        return at + _2
    if code < 0x10000:
        out[at] = np.uint64(0xE0) | (code >> _12)
        out[at + _1] = np.uint64(0x80) | ((code >> _6) & np.uint64(0x3F))
        out[at + _2] = np.uint64(0x80) | (code & np.uint64(0x3F))
        return at + _3
    out[at] = np.uint64(0xF0) | (code >> _18)
    out[at + _1] = np.uint64(0x80) | ((code >> _12) & np.uint64(0x3F))
    out[at + _2] = np.uint64(0x80) | ((code >> _6) & np.uint64(0x3F))
    out[at + _3] = np.uint64(0x80) | (code & np.uint64(0x3F))
    return at + _4


@kernel
def scan(
    data: Any,
    start: int,
    end: int,
    letters: Any,
    lowered: Any,
    page_of: Any,
    pages: Any,
    words: Any,
    out: Any,
    position: int,
) -> tuple[int, int]:
    """Scan one text: its word hashes to *words*, its normalized bytes to *out* from *position* on.

    *letters* (128 of uint64) has the value of an ASCII character in a word and 0 for one that is in none, *lowered* (128 of
    uint8) its lower case, a space for white space. *words* needs a place for every two bytes and two more, *out* three bytes for
    each and four more (an invalid byte becomes three). Returns the number of words and the position after the last byte.
    """
    at, last = np.uint64(start), np.uint64(end)
    begin = np.uint64(position)
    to = begin
    count, hashed, inside, blank = _0, _0, _0, _1
    while at < last:
        byte = data[at]
        if byte < 128:
            value = letters[byte]
            small = lowered[byte]
            at += _1
            is_word = np.uint64(value != _0)
            is_blank = np.uint64(small == 32)
            out[to] = small
            to += _1 - (is_blank & blank)
            blank = is_blank
        else:
            code, at = decode(data, at, last)
            entry = pages[page_of[code >> _7], code & np.uint64(127)]
            kind = np.uint64(entry) & np.uint64(15)
            code = np.uint64(np.int64(code) + np.int64(entry >> 4))
            if kind == _SPACE:
                out[to] = 32
                to += _1 - blank
                blank = _1
                value, is_word = _0, _0
            else:
                to = encode(code, out, to)
                blank = _0
                value, is_word = (letter(code), _1) if kind else (_0, _0)
                if kind == _UNSPACED:
                    words[count] = hashed
                    count += inside
                    words[count] = value
                    count += _1
                    hashed, inside = _0, _0
                    continue
        # A word that ends here is kept: stored at every step, counted at its end.
        words[count] = hashed
        count += inside & (is_word ^ _1)
        hashed = hashed * (_WORD & (_0 - is_word)) + value
        inside = is_word
    words[count] = hashed
    count += inside
    if to > begin and blank:
        to -= _1
    for place in range(count):
        words[place] = mix(words[place])
    return np.int64(count), np.int64(to)
