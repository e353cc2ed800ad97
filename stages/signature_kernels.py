"""What stands between signature.py and the kernels: tables, scratch memory, and texts handed over a chunk at a time.

Scratch memory is bounded by a chunk, or by the largest text where that is longer. The XXH3-128 of each text is taken here, from
the bytes that the kernel wrote: the library's own code is as fast as memory, and a call takes 0.2 µs, 3 % of a text of 2.3 kB.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from corpusmill.stages.characters import SPACE, WORD, WordKind, character_table
from corpusmill.stages.text_buffers import TextBuffers

__all__ = [
    "Hashes",
    "Signatures",
    "Sketches",
    "datasketch_permutations",
    "permutations_of",
    "readonly",
    "run_datasketch",
    "run_v1",
]

Hashes = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]

_BITS_64: Final = (1 << 64) - 1
_MERSENNE: Final = (1 << 61) - 1
_CHUNK: Final = 1 << 19  # bytes of text handed to a kernel at once


@dataclass(frozen=True)
class Sketches:
    """What is known about *n* texts."""

    content: pa.FixedSizeBinaryArray
    """XXH3-128 of each text in lower case with single spaces, 16 bytes each."""
    signatures: Signatures
    """Shape (n, permutations); a text without words has 0xFFFFFFFF everywhere."""
    shingle_offsets: npt.NDArray[np.int64]
    """Shape (n + 1,): where the shingles of each text start; differences are the numbers of shingles, kept or not."""
    shingles: Hashes | None
    """All shingle hashes, in text order and with repeats; None if they were not asked for."""


@functools.cache
def permutations_of(number: int) -> tuple[Signatures, Signatures]:
    """Return the odd factors and the terms of the first *number* permutations of v1, each shape (number,).

    Those of fewer permutations are the first ones of more: a signature can be shortened.
    """
    pairs = list(_splitmix64(int.from_bytes(b"permute1", "big"), number))
    factors = np.array([(pair >> 32) | 1 for pair in pairs], np.uint32)
    return readonly(factors), readonly(np.array([pair & 0xFFFFFFFF for pair in pairs], np.uint32))


def _splitmix64(seed: int, number: int) -> Iterator[int]:
    """Yield the first outputs of the splitmix64 generator (Steele, Lea and Flood 2014)."""
    for step in range(1, number + 1):
        value = (seed + step * 0x9E3779B97F4A7C15) & _BITS_64
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _BITS_64
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _BITS_64
        yield value ^ (value >> 31)


@functools.cache
def datasketch_permutations(number: int, legacy: bool) -> tuple[Hashes, Hashes]:
    """Return the factors and terms that `datasketch.MinHash(num_perm=number, seed=1)` draws, each shape (number,).

    They come from numpy's RandomState, whose stream numpy has promised not to change.
    """
    generator = np.random.RandomState(1)
    if legacy:
        drawn = [
            (generator.randint(1, _MERSENNE, dtype=np.uint64), generator.randint(0, _MERSENNE, dtype=np.uint64))
            for _ in range(number)
        ]
        factors, terms = np.array(drawn, np.uint64).reshape(-1, 2).T
        return readonly(np.ascontiguousarray(factors)), readonly(np.ascontiguousarray(terms))
    factors = generator.randint(0, 1 << 31, number, dtype=np.uint32).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    return readonly(factors), readonly(generator.randint(0, 1 << 32, number, dtype=np.uint32).astype(np.uint64))


@functools.cache
def ascii_characters(kind: WordKind) -> Hashes:
    """Return what the kernel looks up for each ASCII character, shape (128, 4); the columns are those of kernels/text.py."""
    from corpusmill.stages.kernels.text import FACTOR, FORM, VALUE, WORD_FACTOR

    table = character_table(kind)
    values = list(_splitmix64(int.from_bytes(b"letters1", "big"), 128))
    found = np.zeros((128, 4), np.uint64)
    for code in range(128):
        if table.kind(code) == WORD:
            found[code, VALUE], found[code, FACTOR] = values[table.lower(code)], WORD_FACTOR
        found[code, FORM] = ord(" ") if table.kind(code) == SPACE else table.lower(code) | 256
    return readonly(found)


def run_v1(buffers: TextBuffers, size: int, permutations: int, kind: WordKind, keep: bool) -> Sketches:
    """Run the v1 kernel over *buffers*, a chunk at a time."""
    from corpusmill.stages.kernels.minhash import sketch as run

    data, starts, ends = buffers
    documents = len(starts)
    factors, terms = permutations_of(permutations)
    signatures = np.full((documents, permutations), 0xFFFFFFFF, np.uint32)
    offsets = np.zeros(documents + 1, np.int64)
    digests: list[bytes] = []
    cuts = _chunks(ends - starts)
    sizes = [int((ends[cut] - starts[cut]).sum()) for cut in cuts]
    largest, total, longest = max(sizes, default=0), sum(sizes), max((cut.stop - cut.start for cut in cuts), default=0)
    # Pages of these that are never written to never become memory.
    word_hashes = np.empty(largest // 2 + 2, np.uint64)
    normalized = np.empty(3 * largest + 4, np.uint8)
    worst = largest // 2 + longest  # shingles of a chunk
    kept = np.empty((total // 5 if keep else 0) + worst, np.uint64)
    view = normalized.data
    for cut in cuts:
        first, last = cut.start, cut.stop
        filled = int(offsets[first]) if keep else 0
        if len(kept) - filled < worst:
            # More than a shingle for five bytes: there can never be more than one for two.
            kept = np.concatenate([kept[:filled], np.empty(total // 2 + documents + worst - filled, np.uint64)])
        bounds = np.zeros(last - first + 1, np.int64)
        run(
            data,
            starts[cut],
            ends[cut],
            ascii_characters(kind),
            *character_table(kind),
            size,
            factors,
            terms,
            keep,
            word_hashes,
            normalized,
            bounds,
            kept[filled:],
            offsets[first : last + 1],
            signatures[cut],
        )
        digests += [xxhash.xxh3_128_digest(view[start:end]) for start, end in pairwise(bounds.tolist())]
    content = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), documents, [None, pa.py_buffer(b"".join(digests))])
    return Sketches(content, signatures, offsets, kept[: offsets[-1]] if keep else None)


def _chunks(lengths: npt.NDArray[np.int64]) -> list[slice]:
    """Return consecutive rows whose texts have `_CHUNK` bytes together, or one row alone that has more."""
    cuts: list[slice] = []
    total = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = int(total[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + _CHUNK, "right")))
        cuts.append(slice(first, last))
        first = last
    return cuts


def readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view of *array*: kernels are compiled for read-only input, as Arrow's buffers are."""
    view: npt.NDArray[Any] = array.view()
    view.flags.writeable = False
    return view


def run_datasketch(buffers: TextBuffers, size: int, permutations: int, kind: WordKind, legacy: bool) -> Signatures:
    """Return the signatures that datasketch gives, shape (n, permutations)."""
    from corpusmill.stages.kernels.datasketch import signatures as run
    from corpusmill.stages.kernels.sha1 import PADDING

    data, starts, ends = buffers
    factors, terms = datasketch_permutations(permutations, legacy)
    found = np.full((len(starts), permutations), 0xFFFFFFFF, np.uint32)
    for cut in _chunks(ends - starts):
        length, texts = int((ends[cut] - starts[cut]).sum()), cut.stop - cut.start
        most = (
            length // 2 + texts
        )  # of words: each has a byte at least, and either three or a neighbour that is in no word
        run(
            data,
            starts[cut],
            ends[cut],
            *character_table(kind),
            size,
            legacy,
            factors,
            terms,
            np.empty(2 * length + texts + PADDING, np.uint8),
            np.empty(most + 1, np.int64),
            np.empty(most, np.int64),
            np.empty(most, np.int64),
            np.empty(most, np.uint32),
            found[cut],
        )
    return found
