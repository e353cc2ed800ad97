"""Signatures that are bit for bit those of datasketch: SHA-1 of each shingle as text, then its permutations.

The words of a text are written out once, with one space between two: each shingle is a slice of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.minhash import BLOCK, pad, permute
from corpusmill.stages.kernels.sha1 import sha1_words
from corpusmill.stages.kernels.text import decode, encode

__all__ = ["signatures", "spell"]

_UNSPACED, _SPACE = 3, 1
_PRIME = np.uint64((1 << 61) - 1)
_61 = np.uint64(61)


@kernel
def spell(
    data: Any, start: int, end: int, page_of: Any, pages: Any, out: Any, position: int, starts: Any
) -> tuple[int, int]:
    """Write the words of one text to *out* from *position* on, a space after each, and where each starts to *starts*.

    Returns the number of words and the position after the last space; `starts[number]` is that position too.
    """
    at, last, to = np.uint64(start), np.uint64(end), np.uint64(position)
    count = 0
    inside = False
    while at < last:
        byte = data[at]
        if byte < 128:
            code = np.uint64(byte)
            at += np.uint64(1)
        else:
            code, at = decode(data, at, last)
        entry = pages[page_of[code >> np.uint64(7)], code & np.uint64(127)]
        kind = entry & 15
        is_word = kind > _SPACE
        if inside and (not is_word or kind == _UNSPACED):
            out[to] = 32
            to += np.uint64(1)
            inside = False
        if is_word:
            if not inside:
                starts[count] = to
                count += 1
            to = encode(np.uint64(np.int64(code) + np.int64(entry >> 4)), out, to)
            inside = kind != _UNSPACED
            if not inside:
                out[to] = 32
                to += np.uint64(1)
    if inside:
        out[to] = 32
        to += np.uint64(1)
    starts[count] = to
    return count, np.int64(to)


@kernel
def _finish(value: np.uint32) -> np.uint32:
    """Return the 32-bit finalizer of MurmurHash3, which datasketch applies before its affine permutations."""
    value = np.uint32(np.uint32(value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32(np.uint32(value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@kernel
def _permute_legacy(block: Any, padded: int, factors: Any, terms: Any, signature: Any) -> None:
    """Do what `permute` does with the permutations that datasketch had before version 2."""
    for permutation in range(factors.size):
        factor, term = factors[permutation], terms[permutation]
        least = signature[permutation]
        for place in range(padded):
            # It lets the sum wrap at 64 bits before it takes the remainder, and so does this.
            value = factor * np.uint64(block[place]) + term
            value = (value & _PRIME) + (value >> _61)
            value = value - _PRIME if value >= _PRIME else value
            least = min(least, np.uint32(value))
        signature[permutation] = least


@kernel
def signatures(
    data: Any,
    starts: Any,
    ends: Any,
    page_of: Any,
    pages: Any,
    size: int,
    legacy: bool,
    factors: Any,
    terms: Any,
    out: Any,
    word_starts: Any,
    begins: Any,
    finishes: Any,
    hashes: Any,
    found: Any,
) -> None:
    """Lower each row of *found* to the signature of one text; all texts are hashed together, to keep the lanes full."""
    position = 0
    total = 0
    counts = np.zeros(starts.size + 1, np.int64)
    for row in range(starts.size):
        number, position = spell(data, starts[row], ends[row], page_of, pages, out, position, word_starts)
        if number:
            width = min(size, number)
            for first in range(number - width + 1):
                begins[total] = word_starts[first]
                finishes[total] = word_starts[first + width] - 1
                total += 1
        counts[row + 1] = total
    sha1_words(out, begins, finishes, total, hashes)
    block = np.empty(BLOCK, np.uint32)
    for row in range(starts.size):
        for begin in range(counts[row], counts[row + 1], BLOCK):
            filled = min(BLOCK, counts[row + 1] - begin)
            for place in range(filled):
                block[place] = hashes[begin + place] if legacy else _finish(hashes[begin + place])
            if legacy:
                _permute_legacy(block, pad(block, filled), factors, terms, found[row])
            else:
                permute(block, pad(block, filled), factors, terms, found[row])
