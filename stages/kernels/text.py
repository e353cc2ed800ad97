"""From the bytes of a text to the hashes of its words and to its normalized bytes, in one scan.

ASCII, eight bytes at a time, is taken without a branch: what a byte does to the word hash, to the output and to the counts is
arithmetic on one row of a table, because words end after five letters on average and a branch on that is mispredicted every
time. Everything is unsigned: numba guards signed indices against being negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.characters import SPACE, UNSPACED, WORD
from corpusmill.stages.kernels import kernel

__all__ = ["FACTOR", "FORM", "VALUE", "WORD_FACTOR", "decode", "encode", "letter", "mix", "scan"]

VALUE, FACTOR, FORM = range(3)
"""Columns of the table of ASCII characters: the value in a word hash (0: in no word); what the hash so far is multiplied by
(0 where no word goes on); the lower case, a space for white space, and 256 more for anything else."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LETTERS = np.uint64(int.from_bytes(b"letters1", "big"))
WORD_FACTOR = np.uint64(0xF1357AEA2E62A9C5)

_0, _1, _2, _3, _4, _5, _6, _7, _8, _12, _18 = (np.uint64(number) for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 18))
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
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
def _is_ascii(data: Any, at: np.uint64) -> bool:
    """Return whether none of the eight bytes from *at* on has its highest bit set; the compiler makes one load of it."""
    eight = (
        (np.uint64(data[at]) | (np.uint64(data[at + _1]) << _8))
        | ((np.uint64(data[at + _2]) << np.uint64(16)) | (np.uint64(data[at + _3]) << np.uint64(24)))
        | ((np.uint64(data[at + _4]) << np.uint64(32)) | (np.uint64(data[at + _5]) << np.uint64(40)))
        | ((np.uint64(data[at + _6]) << np.uint64(48)) | (np.uint64(data[at + _7]) << np.uint64(56)))
    )
    return eight & np.uint64(0x8080808080808080) == 0


@kernel
def _step(
    characters: Any,
    byte: np.uint8,
    words: Any,
    count: np.uint64,
    hashed: np.uint64,
    inside: np.uint64,
    out: Any,
    to: np.uint64,
    solid: np.uint64,
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """Take one ASCII character without a branch.

    A word is stored at every step and counted where it ends; so is the output byte, and a second blank overwritten. *solid* is 1
    behind a byte that stays, whatever follows.
    """
    value, factor, form = characters[byte, VALUE], characters[byte, FACTOR], characters[byte, FORM]
    is_word = factor & _1
    out[to] = np.uint8(form & np.uint64(255))
    to += (form >> _8) | solid
    words[count] = hashed
    count += inside & ~is_word
    return count, hashed * factor + value, is_word, to, form >> _8


@kernel
def scan(
    data: Any,
    start: int,
    end: int,
    characters: Any,
    page_of: Any,
    pages: Any,
    words: Any,
    out: Any,
    position: int,
) -> tuple[int, int]:
    """Scan one text: its word hashes to *words*, its normalized bytes to *out* from *position* on.

    *characters* is `ascii_characters` of signature_kernels.py. *words* needs a place for every two bytes and two more, *out*
    three bytes for each and four more (an invalid byte becomes three). Returns the number of words and the position after the
    last byte.
    """
    at, last = np.uint64(start), np.uint64(end)
    begin = np.uint64(position)
    to = begin
    count, hashed, inside, solid = _0, _0, _0, _0
    while at < last:
        while at + _8 <= last and _is_ascii(data, at):
            for place in range(8):
                byte = data[at + np.uint64(place)]
                count, hashed, inside, to, solid = _step(characters, byte, words, count, hashed, inside, out, to, solid)
            at += _8
        while at < last and data[at] < 128:
            count, hashed, inside, to, solid = _step(characters, data[at], words, count, hashed, inside, out, to, solid)
            at += _1
        while at < last and data[at] >= 128:
            code, at = decode(data, at, last)
            entry = pages[page_of[code >> _7], code & np.uint64(127)]
            kind = entry & 15
            if kind == SPACE:
                out[to] = 32
                to += solid
                solid = _0
            else:
                code = np.uint64(np.int64(code) + np.int64(entry >> 4))
                to = encode(code, out, to)
                solid = _1
                if kind == WORD:
                    hashed = hashed * WORD_FACTOR + letter(code)
                    inside = _1
                    continue
            words[count] = hashed
            count += inside
            hashed, inside = _0, _0
            if kind == UNSPACED:
                words[count] = letter(code)
                count += _1
    words[count] = hashed
    count += inside
    if to > begin and not solid:
        to -= _1
    for place in range(np.int64(count)):
        words[place] = mix(words[place])
    return np.int64(count), np.int64(to)
