"""Signature specification v1: the kernels against a slow reference that follows docs/signature.md word for word."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages.characters import SPACE, WordKind, character_table
from corpusmill.stages.signature import (
    Sketches,
    sketch,
    words,
)

# ---------------------------------------------------------------------------------------------------- the reference

BITS = (1 << 64) - 1


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & BITS
    return value ^ (value >> 31)


def splitmix64(seed: bytes, number: int) -> int:
    return mix((int.from_bytes(seed, "big") + (number + 1) * 0x9E3779B97F4A7C15) & BITS)


def polynomial(values: list[int], multiplier: int, start: int = 0) -> int:
    for value in values:
        start = (start * multiplier + value) & BITS
    return mix(start)


def reference_shingles(text: str, size: int, kind: WordKind) -> list[int]:
    hashes = [
        polynomial([splitmix64(b"letters1", ord(letter)) for letter in word], 0xF1357AEA2E62A9C5)
        for word in words(text, kind)
    ]
    size = min(size, len(hashes))
    return [
        polynomial(hashes[at : at + size], 0xD1342543DE82EF95) for at in range(len(hashes) - size + 1) if len(hashes)
    ]


def reference_signature(shingles: list[int], permutations: int) -> list[int]:
    drawn = [splitmix64(b"permute1", number) for number in range(permutations)]
    return [
        min(((((pair >> 32) | 1) * (one >> 32) + pair) & 0xFFFFFFFF for one in shingles), default=0xFFFFFFFF)
        for pair in drawn
    ]


def reference_content(text: str) -> bytes:
    table = character_table()
    lowered = "".join(" " if table.kind(ord(one)) == SPACE else chr(table.lower(ord(one))) for one in text)
    return xxhash.xxh3_128_digest(re.sub(" +", " ", lowered).strip(" ").encode())


def reference_keys(signature: list[int], bands: int, rows: int) -> list[int]:
    if set(signature) == {0xFFFFFFFF}:
        return [0] * bands
    start = int.from_bytes(b"bandkey1", "big")
    return [
        polynomial(
            signature[band * rows : band * rows + rows], 0xD1342543DE82EF95, start + (band + 1) * 0x9E3779B97F4A7C15
        )
        or 1
        for band in range(bands)
    ]


def check(texts: list[str], array: Any, size: int = 5, permutations: int = 8, kind: WordKind = "unicode") -> Sketches:
    """Compare everything that is said about *array* with the reference's words on *texts*."""
    found = sketch(array, shingle_words=size, permutations=permutations, words=kind, shingles=True)
    assert found.content.to_pylist() == [reference_content(text) for text in texts]
    expected = [reference_shingles(text, size, kind) for text in texts]
    assert np.diff(found.shingle_offsets).tolist() == [len(one) for one in expected]
    assert found.shingles is not None
    assert [found.shingles[a:b].tolist() for a, b in pairwise(found.shingle_offsets)] == expected
    assert found.signatures.tolist() == [reference_signature(one, permutations) for one in expected]
    return found


ALPHABET = st.one_of(
    st.sampled_from("aAbzZ09_ \t\n.,-'İIıΣσςßẞǅÅée\u0301中の水ーกไ가𝔘𠀀🙂\u200d\ufe0f\u3000\u00a0\u1680\u001c\ufffdⅣⒶ"),
    st.characters(exclude_categories=["Cs"]),
)
TEXTS = st.lists(st.one_of(st.none(), st.text(ALPHABET, max_size=60)), max_size=6)


@given(TEXTS, st.integers(1, 7), st.sampled_from(["unicode", "python"]))
@settings(max_examples=400, deadline=None)
def test_kernels_agree_with_the_reference(texts: list[str | None], size: int, kind: WordKind) -> None:
    check([text or "" for text in texts], pa.array(texts, pa.large_string()), size, 5, kind)


@given(st.lists(st.binary(max_size=40), max_size=5))
@settings(max_examples=400, deadline=None)
def test_bytes_that_are_not_utf8_become_replacement_characters(texts: list[bytes]) -> None:
    array = pa.array(texts, pa.large_binary())
    check(
        [text.decode("utf-8", "replace") for text in texts],
        pa.Array.from_buffers(pa.large_string(), len(array), array.buffers()),
    )
