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

from dataclasses import replace
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.stages.characters import UNSPACED, WORD, WordKind, character_table
from corpusmill.stages.signature_kernels import (
    Hashes,
    Signatures,
    Sketches,
    permutations_of,
    readonly,
    run_datasketch,
    run_v1,
)
from corpusmill.stages.text_buffers import large_strings, text_buffers

__all__ = [
    "SPECIFICATION",
    "Hashes",
    "SignatureScheme",
    "Signatures",
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
    if signature not in get_args(SignatureScheme):
        names = ", ".join(map(repr, get_args(SignatureScheme)))
        raise ValueError(f"unknown signature scheme {signature!r}: type one of {names}")
    texts = large_strings(texts)
    cased, where = _python_cases(texts) if words == "python" else (texts, None)
    buffers = text_buffers(cased)
    ours = signature == "v1"
    found = run_v1(buffers, shingle_words, permutations if ours else 0, words, shingles)
    if not ours:
        legacy = signature == "datasketch_legacy"
        found = replace(found, signatures=run_datasketch(buffers, shingle_words, permutations, words, legacy))
    if where is not None:
        # The content of a text does not depend on what is a word in it.
        content = pc.replace_with_mask(found.content, where, content_hashes(texts.filter(where)))
        found = replace(found, content=content)
    return found


def content_hashes(texts: Any) -> pa.FixedSizeBinaryArray:
    """Return XXH3-128 of each text in lower case, with runs of white space as one space and none at its ends."""
    return run_v1(text_buffers(texts), 1, 0, "unicode", False).content


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
    run(readonly(np.ascontiguousarray(signatures, np.uint32)), rows, keys)
    return keys


def _python_cases(texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, pa.BooleanArray | None]:
    """Return *texts* with `_python_case` applied to those that need it, and which those are (None: none of them)."""
    data, starts, ends = text_buffers(texts)
    if not len(texts):
        return texts, None
    data = data[starts[0] : ends[-1]]
    # İ is C4 B0 and Σ is CE A3; looking for one byte of four is three times as fast as pyarrow's search for a string.
    leads = np.flatnonzero((data[:-1] == 0xC4) | (data[:-1] == 0xCE))
    leads = leads[data[leads + 1] == np.where(data[leads] == 0xC4, 0xB0, 0xA3)] + starts[0]
    if not len(leads):
        return texts, None
    chosen = np.zeros(len(texts), np.bool_)
    chosen[np.searchsorted(starts, leads, "right") - 1] = True
    where = pa.array(chosen)
    buffers = (text.as_buffer() for text in texts.filter(where))
    found = [None if buffer is None else _python_case(str(bytes(buffer), "utf-8", "replace")) for buffer in buffers]
    return pc.replace_with_mask(texts, where, pa.array(found, pa.large_string())), where
