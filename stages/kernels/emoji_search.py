"""Emoji in the bytes of a text: the longest known sequence from each place that one starts at.

The sequences are a trie of which a hash table holds the edges: five thousand sequences of up to ten characters, where a row of
all characters for each node would be 30 MB. Bytes that are not UTF-8 are skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined
from corpusmill.stages.kernels.text_scan import INVALID, decoded, size_of

__all__ = ["FIRST", "edge_slot", "find_emoji"]

FIRST = 1 << 15
"""Bit of the number of a character: a known sequence begins with it."""

_FIRST, _NUMBER = np.uint16(FIRST), np.uint64(FIRST - 1)
_0, _1, _2, _3, _4 = (np.uint64(number) for number in range(5))
_7, _16, _32, _127 = np.uint64(7), np.uint64(16), np.uint64(32), np.uint64(127)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_JOINER, _TEXT, _EMOJI = np.uint64(0x200D), np.uint64(0xFE0E), np.uint64(0xFE0F)
_FLAG_A, _FLAG_Z = np.uint64(0x1F1E6), np.uint64(0x1F1FF)
_FIRST_TAG, _LAST_TAG = np.uint64(0xE0020), np.uint64(0xE007F)


def edge_slot(edge: int, slots: int) -> int:
    """Return where the search for an edge, `node << 16 | number of the character`, begins in a hash table of so many slots."""
    return ((edge * int(_FACTOR) & (1 << 64) - 1) >> 32) % slots


@inlined
def _code_at(data: Any, at: np.uint64, end: np.uint64) -> np.uint64:
    """Return the code point at *at*; INVALID behind the end, or where there is none."""
    if at >= end:
        return INVALID
    code = np.uint64(data[at])
    return code if code < 0x80 else decoded(data, at, end)


@inlined
def _bytes_of(code: np.uint64) -> np.uint64:
    """Return how many bytes to go on by."""
    return _1 if code < 0x80 or code == INVALID else size_of(code)


@inlined
def _child(node: np.uint64, number: np.uint64, edges: Any, children: Any) -> np.uint64:
    """Return the node that a character leads to, 0 if it leads nowhere."""
    edge = node << _16 | number
    mask = np.uint64(edges.size - 1)
    at = (edge * _FACTOR >> _32) & mask
    while edges[at]:
        if edges[at] == edge:
            return np.uint64(children[at])
        at = (at + _1) & mask
    return _0


@bare_kernel
def find_emoji(data: Any, page_of: Any, pages: Any, edges: Any, children: Any, names: Any, found: Any) -> int:
    """Write start, end (in characters) and name of each emoji of *data* to the rows of *found*; return how many there are.

    A span includes selectors, joiners and tags around the sequence that belong to nothing else. *names* has the name of each
    node, -1 where no sequence ends. *found* needs a row for as many emoji as the shortest known sequence has room for in *data*.
    """
    count = 0
    at, end = _0, np.uint64(data.size)
    character, done = _0, _0  # the character at *at*, and the position in bytes behind the last emoji
    while at < end:
        code = _code_at(data, at, end)
        if code == INVALID or not pages[page_of[code >> _7], code & _127] & _FIRST:
            at += _bytes_of(code)
            character += _1
            continue
        behind, length, name = at, _0, np.int32(-1)
        to, walked, node = at, _0, _1
        while code != INVALID:
            number = np.uint64(pages[page_of[code >> _7], code & _127]) & _NUMBER
            node = _child(node, number, edges, children) if number else _0
            if not node:
                break
            to += _bytes_of(code)
            walked += _1
            if names[node] >= 0:
                behind, length, name = to, walked, names[node]
            code = _code_at(data, to, end)
        if name < 0:
            # Flag letters pair up from the left (UAX #29): an unknown pair is skipped whole.
            code = _code_at(data, at, end)
            next_code = _code_at(data, at + _bytes_of(code), end)
            pair = _FLAG_A <= code <= _FLAG_Z and _FLAG_A <= next_code <= _FLAG_Z
            at += _bytes_of(code) + (_4 if pair else _0)
            character += _2 if pair else _1
            continue
        first = character
        start = at
        at, character = behind, character + length
        code = _code_at(data, at, end)
        if code == _TEXT:
            continue
        while code == _JOINER or code == _EMOJI or _FIRST_TAG <= code <= _LAST_TAG:
            at += _bytes_of(code)
            character += _1
            code = _code_at(data, at, end)
        while start >= done + _3 and _is_dangling(data, start - _3):
            start -= _3
            first -= _1
        found[count, 0], found[count, 1], found[count, 2] = first, character, name
        count += 1
        done = at
    return count


@inlined
def _is_dangling(data: Any, at: np.uint64) -> bool:
    """Return whether U+200D or U+FE0F is at *at*."""
    first, second, third = data[at], data[at + _1], data[at + _2]
    return (first == 0xE2 and second == 0x80 and third == 0x8D) or (first == 0xEF and second == 0xB8 and third == 0x8F)
