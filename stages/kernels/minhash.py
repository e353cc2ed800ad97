"""From texts to shingles and MinHash signatures, and from signatures to the keys of bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.text import mix, scan

__all__ = ["BLOCK", "band_keys", "pad", "permute", "shingle", "shingle_count", "sketch", "smallest"]

_SHINGLE = np.uint64(0xD1342543DE82EF95)
_BANDS = np.uint64(int.from_bytes(b"bandkey1", "big"))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_NONE = np.uint32(0xFFFFFFFF)
_32 = np.uint64(32)
BLOCK = (
    4096  # shingles whose 32-bit halves are permuted at once: 16 kB stay in the first-level cache for all permutations
)
_TOGETHER = 1024  # shingles made at once
LANES = 64  # a block is filled up to a multiple of this, so that the vector loop has no remainder


@kernel
def shingle_count(words: int, size: int) -> int:
    """Return how many shingles there are in a text of *words* words."""
    return words - min(size, words) + 1 if words else 0


@kernel
def shingle(words: Any, count: int, size: int, out: Any, position: int) -> None:
    """Write the hashes of the shingles of *count* words to *out* from *position* on."""
    if count == 0:
        return
    size = min(size, count)
    number = count - size + 1
    for begin in range(0, number, _TOGETHER):
        length = min(_TOGETHER, number - begin)
        made = out[position + begin : position + begin + length]
        # One word of many shingles after another, not one shingle after another: that, vector registers can do.
        for place in range(length):
            made[place] = words[begin + place]
        for word in range(1, size):
            following = words[begin + word : begin + word + length]
            for place in range(length):
                made[place] = made[place] * _SHINGLE + following[place]
        for place in range(length):
            made[place] = mix(made[place])


@kernel
def pad(block: Any, filled: int) -> int:
    """Repeat the last of *filled* values up to a multiple of the lanes, and return that: a minimum does not mind repeats."""
    padded = (filled + LANES - 1) // LANES * LANES
    for place in range(filled, padded):
        block[place] = block[filled - 1]
    return padded


@kernel
def permute(block: Any, padded: int, factors: Any, terms: Any, signature: Any) -> None:
    """Lower each value of *signature* to the least that its permutation gives for the numbers in *block*."""
    for permutation in range(factors.size):
        factor, term = np.uint32(factors[permutation]), np.uint32(terms[permutation])
        least = signature[permutation]
        for place in range(padded):
            least = min(least, np.uint32(np.uint32(factor * block[place]) + term))
        signature[permutation] = least


@kernel
def smallest(hashes: Any, position: int, number: int, factors: Any, terms: Any, block: Any, signature: Any) -> None:
    """Lower *signature* to that of the upper halves of *number* hashes from *position* on."""
    for begin in range(0, number, BLOCK):
        filled = min(BLOCK, number - begin)
        for place in range(filled):
            block[place] = np.uint32(hashes[position + begin + place] >> _32)
        permute(block, pad(block, filled), factors, terms, signature)


@kernel
def sketch(
    data: Any,
    starts: Any,
    ends: Any,
    characters: Any,
    page_of: Any,
    pages: Any,
    size: int,
    factors: Any,
    terms: Any,
    keep: bool,
    words: Any,
    out: Any,
    out_offsets: Any,
    shingles: Any,
    shingle_offsets: Any,
    signatures: Any,
) -> None:
    """Scan texts: normalized bytes to *out*, shingle hashes to *shingles* (overwritten unless *keep*), and signatures."""
    block = np.empty(BLOCK, np.uint32)
    position = 0
    total = 0
    for row in range(starts.size):
        count, position = scan(data, starts[row], ends[row], characters, page_of, pages, words, out, position)
        out_offsets[row + 1] = position
        number = shingle_count(count, size)
        if keep or factors.size:
            shingle(words, count, size, shingles, total)
            smallest(shingles, total, number, factors, terms, block, signatures[row])
        if keep:
            total += number
        shingle_offsets[row + 1] = shingle_offsets[row] + number


@kernel
def band_keys(signatures: Any, rows: int, keys: Any) -> None:
    """Write the key of each band of each signature to *keys* (bands, n)."""
    bands = keys.shape[0]
    for document in range(signatures.shape[0]):
        empty = True
        for place in range(signatures.shape[1]):
            if signatures[document, place] != _NONE:
                empty = False
                break
        for band in range(bands):
            hashed = _BANDS + np.uint64(band + 1) * _GOLDEN
            for place in range(band * rows, band * rows + rows):
                hashed = hashed * _SHINGLE + np.uint64(signatures[document, place])
            hashed = mix(hashed)
            keys[band, document] = np.uint64(0) if empty else max(hashed, np.uint64(1))
