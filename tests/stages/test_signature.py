"""Signature specification v1: the kernels against a slow reference that follows docs/signature.md word for word."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages.characters import SPACE, WordKind, character_table
from corpusmill.stages.signature import SignatureScheme, Sketches, sketch, words

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


# --------------------------------------------------------------------------------------------------- as datasketch has it


def datasketch_signature(found: list[str], size: int, permutations: int, scheme: str) -> list[int]:
    """What a program that uses datasketch does with the words of a text."""
    minhash = MinHash(num_perm=permutations, seed=1, scheme=scheme)
    if found:
        minhash.update_batch([" ".join(found[at : at + size]).encode() for at in range(max(1, len(found) - size + 1))])
    values: list[int] = minhash.hashvalues.tolist()
    return values


SCHEMES = pytest.mark.parametrize(
    ("signature", "scheme"), [("datasketch", "affine32"), ("datasketch_legacy", "legacy")]
)


@SCHEMES
@given(TEXTS, st.integers(1, 6), st.sampled_from(["unicode", "python"]))
@settings(max_examples=200, deadline=None)
def test_signatures_are_those_of_datasketch(
    signature: SignatureScheme, scheme: str, texts: list[str | None], size: int, kind: WordKind
) -> None:
    array = pa.array(texts, pa.large_string())
    found = sketch(array, shingle_words=size, permutations=16, words=kind, signature=signature, shingles=True)
    expected = [datasketch_signature(words(text or "", kind), size, 16, scheme) for text in texts]
    assert found.signatures.tolist() == expected
    ours = sketch(array, shingle_words=size, permutations=16, words=kind, shingles=True)
    assert found.content == ours.content
    assert found.shingles is not None
    assert found.shingles.tolist() == ours.shingles.tolist()


SENTENCE = "The quick brown fox jumps over the lazy dog; ÄÖÜ ß 水車小屋. "
AWKWARD = {
    "nothing": "",
    "a single word": "word",
    "dotted capital i": "İstanbul İİ İ. ıI Iİ",
    "sigma at the end of words and elsewhere": "ΟΔΥΣΣΕΥΣ Σ ΑΣ, ΑΣΑ ΣΑΣ. Σ\u0301 ΑΣ\u0301Α ΑΣ'Σ Α.Σ",
    "letters that grow in lower case": "ȺȾ" * 100 + " " + "Ⱥ " * 100,
    "chinese": "敏捷的棕色狐狸跳过了懒狗。天地玄黄，宇宙洪荒。" * 20,
    "decomposed": unicodedata.normalize("NFD", "Åströmö ñandú việt nam が") * 10,
    "a word longer than many blocks of SHA-1": "a b c d " + "x" * 100_000 + " e f g",
    "ten megabytes": SENTENCE * 140_000,
}


@pytest.mark.parametrize("kind", ["unicode", "python"])
@SCHEMES
def test_awkward_texts_have_the_signatures_of_datasketch(
    signature: SignatureScheme, scheme: str, kind: WordKind
) -> None:
    texts = list(AWKWARD.values())
    found = sketch(
        pa.array(texts), shingle_words=5, permutations=32, words=kind, signature=signature, shingles=False
    ).signatures
    for row, (name, text) in enumerate(AWKWARD.items()):
        # Ten megabytes of one sentence have few different shingles: the slow reference needs to see each only once.
        seen = words(SENTENCE * 3 if name == "ten megabytes" else text, kind)
        assert found[row].tolist() == datasketch_signature(seen, 5, 32, scheme), name


def test_python_words_are_what_a_regular_expression_finds() -> None:
    for text in AWKWARD.values():
        assert words(text[:200_000], "python") == re.findall(r"\w+", text[:200_000].lower())
