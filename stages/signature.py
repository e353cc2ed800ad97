"""Signature specification v1: what near-duplicate removal knows about a text. Frozen; docs/signature.md has it in full.

Three things come out of one scan of the bytes of an Arrow array: a hash of the whole content, the hashes of the shingles, and
a MinHash signature. They are stored in indexes and compared over years, so they depend on the text alone: not on the Python
version (a frozen character table), on numpy's random generators (constants from a few lines of splitmix64), on the platform,
or on the batch that the text came in.

Rejected: datasketch as the engine (5.4 MB/s of text end to end, of which two thirds are Python's shingling), rensa (15.6 MB/s for
the same reason; its quick sketch misses most pairs), and one-permutation hashing (1.13 times as fast here, and worse for texts of
few shingles).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpusmill.stages.characters import SPACE, UNSPACED, WORD, WordKind, character_table
from corpusmill.stages.text_buffers import TextBuffers, text_buffers

__all__ = [
    "SPECIFICATION",
    "SignatureScheme",
    "Sketches",
    "band_keys",
    "content_hashes",
    "permutations_of",
    "shingle_hashes",
    "sketch",
    "words",
]

SPECIFICATION: Final = "v1"

SignatureScheme = Literal["v1", "datasketch", "datasketch_legacy"]
Hashes = npt.NDArray[np.uint64]
Signatures = npt.NDArray[np.uint32]

_BITS_64 = (1 << 64) - 1
_CHUNK = 1 << 19  # bytes of text handed to a kernel at once, or one text if that is longer: bounds the scratch memory


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


def words(text: str, kind: WordKind = "unicode") -> list[str]:
    r"""Return the words of *text* in lower case: runs of letters, marks, digits and `_`; without spaces, each code point.

    >>> words("The Mill, 2nd ed. 水車小屋")
    ['the', 'mill', '2nd', 'ed', '水', '車', '小', '屋']

    Of kind "python" they are what `re.findall(r"\w+", text.lower())` gives: no marks, and no scripts without spaces.

    >>> words("水車小屋 naïf", "python")
    ['水車小屋', 'naïf']
    """
    table = character_table(kind)
    found: list[str] = []
    inside = False
    for character in _python_case(text) if kind == "python" else text:
        kind_of = table.kind(ord(character))
        if kind_of in {WORD, UNSPACED}:
            small = chr(table.lower(ord(character)))
            if inside and kind_of == WORD:
                found[-1] += small
            else:
                found.append(small)
        inside = kind_of == WORD
    return found


def _python_case(text: str) -> str:
    """Return *text* with the two letters replaced that `str.lower` does not treat one by one: İ, and Σ at the end of a word."""
    text = text.replace("İ", "i̇")
    if "Σ" not in text:
        return text
    return "".join("ς" if lower == "ς" else upper for upper, lower in zip(text, text.lower(), strict=True))


def permutations_of(number: int) -> tuple[Signatures, Signatures]:
    """Return the odd factors and the terms of the first *number* permutations of v1, each shape (number,).

    Those of fewer permutations are the first ones of more: a signature can be shortened.
    """
    pairs = list(_splitmix64(int.from_bytes(b"permute1", "big"), number))
    factors = np.array([(pair >> 32) | 1 for pair in pairs], np.uint32)
    return factors, np.array([pair & 0xFFFFFFFF for pair in pairs], np.uint32)


def _splitmix64(seed: int, number: int) -> Iterator[int]:
    """Yield the first outputs of the splitmix64 generator (Steele, Lea and Flood 2014)."""
    for step in range(1, number + 1):
        value = (seed + step * 0x9E3779B97F4A7C15) & _BITS_64
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _BITS_64
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _BITS_64
        yield value ^ (value >> 31)


def sketch(
    texts: Any,
    *,
    shingle_words: int,
    permutations: int,
    words: WordKind = "unicode",
    signature: SignatureScheme = "v1",
    shingles: bool,
) -> Sketches:
    """Return what is known about *texts*, an Arrow array of strings (any string type, slices; a null is an empty text).

    *shingle_words* consecutive words are a shingle, a text of fewer words is one shingle, a text without words has none.
    Invalid UTF-8 counts as U+FFFD, as `bytes.decode("utf-8", "replace")` has it. Damaged offsets raise ValueError.
    """
    if shingle_words < 1 or permutations < 0:
        raise ValueError(
            f"shingle_words is {shingle_words} and permutations {permutations}: at least 1 and 0 are needed"
        )
    if signature != "v1":
        raise ValueError(f"unknown signature scheme {signature!r}: type one of 'v1', 'datasketch', 'datasketch_legacy'")
    texts = texts.cast(pa.large_string())
    if words == "unicode":
        return _sketch(text_buffers(texts), shingle_words, permutations, words, shingles)
    replaced, where = _python_cases(texts)
    found = _sketch(text_buffers(replaced), shingle_words, permutations, words, shingles)
    # The content of a text does not depend on what is a word in it.
    content = pc.replace_with_mask(found.content, where, content_hashes(texts.filter(where)))
    return replace(found, content=content)


def content_hashes(texts: Any) -> pa.FixedSizeBinaryArray:
    """Return XXH3-128 of each text in lower case, with runs of white space as one space and none at its ends."""
    return _sketch(text_buffers(texts), 1, 0, "unicode", False).content


def shingle_hashes(texts: Any, size: int, words: WordKind = "unicode") -> tuple[npt.NDArray[np.int64], Hashes]:
    """Return offsets, shape (n + 1,), and the 64-bit hashes of the *size*-word shingles of *texts* in text order."""
    found = sketch(texts, shingle_words=size, permutations=0, words=words, shingles=True)
    assert found.shingles is not None
    return found.shingle_offsets, found.shingles


def band_keys(signatures: Signatures, bands: int, rows: int) -> Hashes:
    """Return the 64-bit key of each band of each signature, shape (bands, n): band *b* is made of values b·rows … b·rows+rows-1.

    A key is never 0; the keys of a text without words (a signature of 0xFFFFFFFF only) all are, which means "in no band".
    """
    from corpusmill.stages.kernels.minhash import band_keys as run

    if bands < 1 or rows < 1 or bands * rows > signatures.shape[1]:
        raise ValueError(
            f"{bands} bands of {rows} rows need {bands * rows} permutations, there are {signatures.shape[1]}"
        )
    keys = np.empty((bands, len(signatures)), np.uint64)
    run(_readonly(np.ascontiguousarray(signatures, np.uint32)), rows, keys)
    return keys


def _python_cases(texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, pa.BooleanArray]:
    """Return *texts* with `_python_case` applied to those that need it, and which those are."""
    where = pc.fill_null(pc.match_substring_regex(texts, "[İΣ]"), False)
    found = [_python_case(str(bytes(text.as_buffer()), "utf-8", "replace")) for text in texts.filter(where)]
    return pc.replace_with_mask(texts, where, pa.array(found, pa.large_string())), where


@functools.cache
def _ascii_tables() -> tuple[Hashes, npt.NDArray[np.uint8]]:
    """Return what kernels look up for ASCII: the value of each character in a word (0: in none), and its lower case."""
    table = character_table()
    values = list(_splitmix64(int.from_bytes(b"letters1", "big"), 128))
    letters = np.array([values[table.lower(code)] if table.kind(code) == WORD else 0 for code in range(128)], np.uint64)
    lowered = [ord(" ") if table.kind(code) == SPACE else table.lower(code) for code in range(128)]
    return _readonly(letters), _readonly(np.array(lowered, np.uint8))


def _sketch(buffers: TextBuffers, size: int, permutations: int, kind: WordKind, keep: bool) -> Sketches:
    """Run the v1 kernel over *buffers*, a chunk at a time."""
    from corpusmill.stages.kernels.minhash import sketch as run

    data, starts, ends = buffers
    documents = len(starts)
    factors, terms = (_readonly(array) for array in permutations_of(permutations))
    signatures = np.full((documents, permutations), 0xFFFFFFFF, np.uint32)
    offsets = np.zeros(documents + 1, np.int64)
    digests: list[bytes] = []
    kept: list[Hashes] = []
    cuts = _chunks(ends - starts)
    largest = max((int((ends[cut] - starts[cut]).sum()) for cut in cuts), default=0)
    # Pages of these that are never written to never become memory.
    word_hashes = np.empty(largest // 2 + 2, np.uint64)
    normalized = np.empty(3 * largest + 4, np.uint8)
    for cut in cuts:
        first, last = cut.start, cut.stop
        length = int((ends[cut] - starts[cut]).sum())
        bounds = np.zeros(last - first + 1, np.int64)
        found = np.empty(length // 2 + 1 + last - first, np.uint64)
        run(
            data,
            starts[cut],
            ends[cut],
            *_ascii_tables(),
            *character_table(kind),
            size,
            factors,
            terms,
            keep,
            word_hashes,
            normalized,
            bounds,
            found,
            offsets[first : last + 1],
            signatures[cut],
        )
        view = normalized.data
        digests += [xxhash.xxh3_128_digest(view[start:end]) for start, end in pairwise(bounds.tolist())]
        if keep:
            kept.append(found[: offsets[last] - offsets[first]].copy())
    content = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), documents, [None, pa.py_buffer(b"".join(digests))])
    return Sketches(content, signatures, offsets, np.concatenate([np.empty(0, np.uint64), *kept]) if keep else None)


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


def _readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view of *array*: kernels are compiled for read-only input, as Arrow's buffers are."""
    view: npt.NDArray[Any] = array.view()
    view.flags.writeable = False
    return view
