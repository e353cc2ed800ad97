"""What surrounds a tokenization engine: which texts it may be given, all of them in one buffer, and its ids as they are stored.

Everything here is one pass over bytes or ids. With numpy, masks in place of loops, framing the ids alone took 3 ns a token.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, kernel

__all__ = ["FINE", "GRAIN", "INVALID", "UNSURE", "frame", "join", "look", "samples"]

FINE, UNSURE, INVALID = 0, 1, 2
"""What `look` finds of a text: nothing, a character of the table, bytes that are not UTF-8."""

GRAIN = 64  # code points under one lead and one second byte of three; `look` is given a table of such pages

_TOGETHER = 128  # bytes in vector registers
_CHUNK = np.uint64(_TOGETHER)
_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_6, _12, _18, _32 = np.uint64(6), np.uint64(12), np.uint64(18), np.uint64(32)
_LOW = np.uint64(0x3F)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_PROBES = 32  # bytes of a text, evenly spread, by which it is drawn for a sample


@bare_kernel
def look(data: Any, starts: Any, ends: Any, unsure: Any, pages: Any, found: Any) -> None:
    """Write what is found of each text into *found*.

    *unsure* says of every code point whether it is one to look for, *pages* of every `GRAIN` of them whether any is.
    """
    for row in range(starts.size):
        found[row] = _look(data, np.uint64(starts[row]), np.uint64(ends[row]), unsure, pages)


@bare_kernel
def _look(data: Any, at: np.uint64, end: np.uint64, unsure: Any, pages: Any) -> np.uint8:
    """Return what is found of one text; what is not UTF-8 counts most."""
    result = np.uint8(FINE)
    while at < end:
        if at + _CHUNK <= end:
            high = np.uint8(0)
            for place in range(_TOGETHER):
                high |= data[at + np.uint64(place)]
            if high < 128:
                at += _CHUNK
                continue
        stop = min(at + _CHUNK, end)
        while at < stop:
            byte = np.uint64(data[at])
            if byte < 0x80:
                at += _1
                continue
            # Bytes beyond the end of a text are read as none: what is cut off there is not UTF-8.
            second = np.uint64(data[at + _1]) if at + _1 < end else np.uint64(0)
            if byte < 0xE0:
                if byte < 0xC2 or second & 0xC0 != 0x80:
                    return np.uint8(INVALID)
                page = byte & np.uint64(0x1F)
                length, code = _2, (page << _6) | (second & _LOW)
            else:
                third = np.uint64(data[at + _2]) if at + _2 < end else np.uint64(0)
                if second & 0xC0 != 0x80 or third & 0xC0 != 0x80:
                    return np.uint8(INVALID)
                if byte < 0xF0:
                    page = ((byte & np.uint64(0xF)) << _6) | (second & _LOW)
                    length, code = _3, (page << _6) | (third & _LOW)
                    if page < 0x20 or (0x360 <= page < 0x380):  # a longer form than needed; surrogates
                        return np.uint8(INVALID)
                else:
                    fourth = np.uint64(data[at + _3]) if at + _3 < end else np.uint64(0)
                    page = ((byte & np.uint64(7)) << _12) | ((second & _LOW) << _6) | (third & _LOW)
                    length, code = _4, (page << _6) | (fourth & _LOW)
                    if byte > 0xF4 or fourth & 0xC0 != 0x80 or page < 0x400 or page >= 0x4400:
                        return np.uint8(INVALID)
            if pages[page] != 0 and unsure[code] != 0:
                result = np.uint8(UNSURE)
            at += length
    return result


@bare_kernel
def samples(data: Any, starts: Any, ends: Any, limit: np.uint64, draws: Any, found: Any) -> None:
    """Draw texts by what they are: write a number that follows from each into *draws*, and into *found* whether it is below.

    The number is a hash of the length and of up to 32 bytes that lie evenly over the text, so that drawing costs the same
    for any length.
    """
    for row in range(starts.size):
        start, size = np.uint64(starts[row]), np.uint64(ends[row] - starts[row])
        probes = min(size, np.uint64(_PROBES))
        value = size
        for number in range(probes):
            value = (value ^ np.uint64(data[start + np.uint64(number) * size // probes])) * _MIX_1
            value ^= value >> _32
        value = (value ^ (value >> np.uint64(27))) * _MIX_2
        value ^= value >> np.uint64(31)
        draws[row] = value
        found[row] = value < limit


@bare_kernel
def join(data: Any, starts: Any, ends: Any, taken: Any, separator: Any, out: Any) -> int:
    """Write the texts that are *taken* into *out*, with *separator* behind each, also where one is left out; return the bytes."""
    at = np.uint64(0)
    for row in range(starts.size):
        if taken[row]:
            start, size = np.uint64(starts[row]), np.uint64(ends[row] - starts[row])
            for place in range(size):
                out[at + np.uint64(place)] = data[start + np.uint64(place)]
            at += size
        for place in range(separator.size):
            out[at] = separator[place]
            at += _1
    return np.int64(at)


@kernel
def frame(ids: Any, starts: Any, ends: Any, begin: int, end: int, out: Any) -> None:
    """Write the ids of each document, `ids[starts[i]:ends[i]]`, into *out*, between *begin* and *end* where those are no -1."""
    at = np.uint64(0)
    for row in range(starts.size):
        if begin >= 0:
            out[at] = begin
            at += _1
        start, size = np.uint64(starts[row]), np.uint64(ends[row] - starts[row])
        for place in range(size):
            out[at + np.uint64(place)] = ids[start + np.uint64(place)]
        at += size
        if end >= 0:
            out[at] = end
            at += _1
