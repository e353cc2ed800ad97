"""Signature specification v1: the kernels against the Python in docs/signature.md, and against datasketch."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tracemalloc
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import MinHash
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpusmill.stages.characters import OTHER, SPACE, UNSPACED, WORD, WordKind, character_table
from corpusmill.stages.signature import (
    SPECIFICATION,
    SignatureScheme,
    Sketches,
    band_keys,
    content_hashes,
    permutations_of,
    shingle_hashes,
    sketch,
    words,
)

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "signature.md").read_text("utf-8"), re.DOTALL)
assert BLOCK is not None
SPECIFIED: dict[str, Any] = {}
exec(BLOCK[1], SPECIFIED)


def content_hash(text: str) -> bytes:
    table = character_table()
    result: bytes = SPECIFIED["content_hash"](
        text, lambda one: chr(table.lower(ord(one))), lambda one: table.kind(ord(one)) == SPACE
    )
    return result


def check(texts: list[str], array: Any, size: int = 5, permutations: int = 6, kind: WordKind = "unicode") -> Sketches:
    """Compare all that is said about *array* with what the specification says about *texts*."""
    found = sketch(array, shingle_words=size, permutations=permutations, words=kind, shingles=True)
    assert found.content.to_pylist() == [content_hash(text) for text in texts]
    shingles = [SPECIFIED["shingles"](words(text, kind), size) for text in texts]
    assert np.diff(found.shingle_offsets).tolist() == [len(one) for one in shingles]
    assert found.shingles is not None
    assert [found.shingles[first:last].tolist() for first, last in pairwise(found.shingle_offsets)] == shingles
    signatures = [SPECIFIED["signature"](one, permutations) for one in shingles]
    assert found.signatures.tolist() == signatures
    expected_keys = [SPECIFIED["band_keys"](one, 2, permutations // 2) for one in signatures]
    assert band_keys(found.signatures, 2, permutations // 2).T.tolist() == expected_keys
    return found


LETTERS = st.one_of(
    st.sampled_from(
        "aAbzZ09_ \t\n.,-'İIıΣσςßẞǅÅK\u0301中の水ーﾞกไကខ가𝔘𠀀🙂\u200d\ufe0f\u3000\u00a0\u1680\u001c\ufffdⅣⒶȺ\x00\x7f"
    ),
    st.characters(exclude_categories=["Cs"]),
)
TEXTS = st.lists(st.one_of(st.none(), st.text(LETTERS, max_size=60)), max_size=6)
KINDS = st.sampled_from(["unicode", "python"])


# ------------------------------------------------------------------------------------------- kernels and specification


@given(TEXTS, st.integers(1, 7), KINDS)
@settings(max_examples=300, deadline=None)
@example(["İ"], 1, "python")
def test_the_kernels_do_what_the_specification_says(texts: list[str | None], size: int, kind: WordKind) -> None:
    check([text or "" for text in texts], pa.array(texts, pa.large_string()), size, kind=kind)


# Whatever can start, continue or break off a character.
PIECES = [bytes([byte]) for byte in bytes.fromhex("80 8f 90 9f a0 bf c0 c2 df e0 e1 ed f0 f1 f4 f5 ff 20 61")]
LEADS_AND_TAILS = st.lists(
    st.sampled_from([*PIECES, "é".encode(), "水".encode(), "𠀀".encode(), b"12345678"]), max_size=12
).map(b"".join)


@given(st.lists(st.one_of(st.binary(max_size=40), LEADS_AND_TAILS), max_size=5), KINDS)
@settings(max_examples=300, deadline=None)
@example([b"\xe6\xb0", b"\xb4"], "unicode")  # what one text is cut off from is in the next
def test_bytes_that_are_not_utf8_become_replacement_characters(texts: list[bytes], kind: WordKind) -> None:
    raw = pa.array(texts, pa.large_binary())
    array = pa.Array.from_buffers(pa.large_string(), len(raw), raw.buffers())
    check([text.decode("utf-8", "replace") for text in texts], array, kind=kind)


@given(TEXTS, st.integers(0, 3), st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_every_kind_of_string_array_gives_the_same(texts: list[str | None], first: int, length: int) -> None:
    plain = check(
        [text or "" for text in texts[first:][:length]], pa.array(texts, pa.large_string()).slice(first, length)
    )
    for type_ in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        array = pa.array(texts, type_).slice(first, length)
        found = sketch(array, shingle_words=5, permutations=6, shingles=True)
        assert found.content.equals(plain.content), type_
        assert found.signatures.tolist() == plain.signatures.tolist(), type_
        assert found.shingles is not None
        assert plain.shingles is not None
        assert found.shingles.tolist() == plain.shingles.tolist(), type_


def test_what_lies_under_a_null_is_not_read() -> None:
    full = pa.array(["one two", "three four", "five six"], pa.large_string())
    validity = pa.py_buffer(bytes([0b101]))
    array = pa.Array.from_buffers(pa.large_string(), 3, [validity, *full.buffers()[1:]])
    check(["one two", "", "five six"], array)
    check(["", "five six"], array.slice(1))
    full = pa.array(["Σ", "İΣ", "ΑΣ"], pa.large_string())
    array = pa.Array.from_buffers(pa.large_string(), 3, [validity, *full.buffers()[1:]])
    check(["Σ", "", "ΑΣ"], array, kind="python")
    check(["", "ΑΣ"], array.slice(1), kind="python")


@pytest.mark.parametrize(
    "array", [pa.array([], pa.string()), pa.array([None, None], pa.string()), pa.nulls(2)], ids=str
)
def test_arrays_without_text(array: Any) -> None:
    check([""] * len(array), array)


@pytest.mark.parametrize("offsets", [[0, 4, 2, 6], [0, 1 << 62, 4, 6], [0, -(1 << 62), 4, 6]])
def test_offsets_that_lead_astray_are_refused(offsets: list[int]) -> None:
    buffers = [None, pa.py_buffer(np.array(offsets, np.int64).tobytes()), pa.py_buffer(b"abcdef")]
    with pytest.raises(ValueError, match="damaged"):
        content_hashes(pa.Array.from_buffers(pa.large_string(), 3, buffers))


def test_nothing_depends_on_the_batch() -> None:
    generator = random.Random(1)
    vocabulary = ["mill", "Wheel", "über", "水車", "naïve", "\u3000", "...", "ไทย", "A", "ΑΣ", "\n\n"]
    texts = [" ".join(generator.choices(vocabulary, k=generator.choice([0, 1, 4, 300]))) for _ in range(2000)]
    texts[700] = " ".join(generator.choices(vocabulary, k=150_000))  # more than a chunk by itself
    array = pa.array(texts)
    whole = sketch(array, shingle_words=3, permutations=16, shingles=True)
    assert whole.shingles is not None
    for step in (333, 1999):
        parts = [
            sketch(array.slice(first, step), shingle_words=3, permutations=16, shingles=True)
            for first in range(0, len(texts), step)
        ]
        assert pa.chunked_array([part.content for part in parts]).combine_chunks().equals(whole.content)
        assert (np.concatenate([part.signatures for part in parts]) == whole.signatures).all()
        joined = np.concatenate([part.shingles for part in parts if part.shingles is not None])
        assert (joined == whole.shingles).all()
    check(texts[:100], array.slice(0, 100), size=3)


def test_a_document_of_ten_megabytes() -> None:
    generator = random.Random(2)
    sentences = [
        " ".join(generator.choices(["a", "Mill", "水車", "été", "x" * 70, "12"], k=9)) + ".\t" for _ in range(500)
    ]
    opening = "".join(sentences)
    times = 10_000_000 // len(opening.encode()) + 1
    found = sketch(pa.array(["first", opening * times, "last one"]), shingle_words=5, permutations=64, shingles=True)
    assert found.shingles is not None
    period = len(words(opening))
    cycle = SPECIFIED["shingles"](words(opening * 2), 5)[:period]
    shingles = found.shingles[found.shingle_offsets[1] : found.shingle_offsets[2]]
    assert len(shingles) == times * period - 4
    assert (shingles == np.resize(np.array(cycle, np.uint64), len(shingles))).all()
    assert found.signatures[1].tolist() == SPECIFIED["signature"](cycle, 64)
    normalized = " ".join([*opening.lower().split()] * times)
    assert found.content[1].as_py() == xxhash.xxh3_128_digest(normalized.encode())
    assert found.signatures[[0, 2]].tolist() == [
        SPECIFIED["signature"](SPECIFIED["shingles"](text.split(), 5), 64) for text in ("first", "last one")
    ]


def test_memory_is_bounded_by_the_largest_text() -> None:
    array = pa.array(["The mill wheel turns in the brook behind the house. " * 200] * 3000)  # 31 MB
    sketch(array.slice(0, 1), shingle_words=5, permutations=16, shingles=False)
    tracemalloc.start()
    try:
        found = sketch(array, shingle_words=5, permutations=16, shingles=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.signatures) == 3000
    assert peak < 8_000_000


def test_a_hundred_thousand_tiny_texts() -> None:
    texts = [f"{number} mills" if number % 3 else "" for number in range(100_000)]
    found = sketch(pa.array(texts), shingle_words=5, permutations=4, shingles=True)
    assert found.shingles is not None
    assert len(found.shingles) == sum(map(bool, texts)) == len(set(found.shingles.tolist()))
    assert len(set(found.content.to_pylist())) == len(found.shingles) + 1
    last = slice(99_990, 100_000)
    again = check(texts[last], pa.array(texts[last]), permutations=4)
    assert (again.signatures == found.signatures[last]).all()


def test_offsets_are_known_when_shingles_are_not_kept() -> None:
    array = pa.array(["a b c d e f", "", "g"])
    found = sketch(array, shingle_words=5, permutations=8, shingles=False)
    assert found.shingles is None
    assert found.shingle_offsets.tolist() == [0, 2, 2, 3]
    offsets, hashes = shingle_hashes(array, 5)
    assert offsets.tolist() == [0, 2, 2, 3]
    assert hashes.tolist() == SPECIFIED["shingles"](list("abcdef"), 5) + SPECIFIED["shingles"](["g"], 5)


def test_signatures_of_fewer_permutations_are_beginnings() -> None:
    array = pa.array(["a b c d e f g h", "水車小屋"])
    long, short = (sketch(array, shingle_words=2, permutations=k, shingles=False).signatures for k in (200, 32))
    assert (long[:, :32] == short).all()
    factors, terms = permutations_of(300)
    assert len({*zip(factors.tolist(), terms.tolist(), strict=True)}) == 300


# The texts that need most room, by bytes: in words, in normalized bytes, in bytes of words joined by spaces.
FULLEST = [
    "ff" * 40,
    "6120" * 40,
    "61",
    "",
    "c8ba" * 40,
    "c8ba20" * 40,
    "e6b0b4" * 40,
    "61e6b0b4" * 40,
    "6120ff" * 40,
    "f09080",
    "61e6b0",
]
INTERPRETED = """
import sys, warnings
import pyarrow as pa
from corpusmill.stages.signature import band_keys, sketch
warnings.simplefilter("ignore")  # sums are meant to wrap
for text in map(bytes.fromhex, sys.argv[1:]):
    for texts in ([text], [text] * 3 + [b""]):
        raw = pa.array(texts, pa.large_binary())
        array = pa.Array.from_buffers(pa.large_string(), len(raw), raw.buffers())
        found = sketch(array, shingle_words=2, permutations=3, shingles=True)
        print(found.content[0].as_py().hex(), *found.signatures[0], *band_keys(found.signatures, 1, 3)[:, 0])
    sketch(array.slice(0, 1), shingle_words=2, permutations=1, signature="datasketch", shingles=False)
"""


def test_no_kernel_leaves_its_arrays() -> None:
    """Compiled code does not check indices; without the compiler, numpy does."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", INTERPRETED, *FULLEST],
            env={**os.environ, **change},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for change in ({"NUMBA_DISABLE_JIT": "1"}, {})
    ]
    assert len(runs[0].splitlines()) == 2 * len(FULLEST)
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "vector", json.loads((ROOT / "tests/vectors/signature_v1.json").read_text("utf-8")), ids=lambda v: v["label"]
)
def test_vectors(vector: dict[str, Any]) -> None:
    assert SPECIFICATION == "v1"
    array = pa.array([vector["text"] * vector.get("times", 1)])
    kind, size = vector["words"], vector["shingle_words"]
    found = sketch(array, shingle_words=size, permutations=128, words=kind, shingles=True)
    assert found.shingles is not None
    assert found.content[0].as_py().hex() == vector["content"]
    assert len(found.shingles) == vector["shingles"]
    assert [f"{one:016x}" for one in found.shingles[:3].tolist()] == vector["first_shingles"]
    assert found.signatures[0, :4].tolist() == vector["v1"]
    assert [f"{one:016x}" for one in band_keys(found.signatures, 20, 6)[:2, 0].tolist()] == vector["band_keys"]
    for scheme in ("datasketch", "datasketch_legacy"):
        as_theirs = sketch(array, shingle_words=size, permutations=128, words=kind, signature=scheme, shingles=False)
        assert as_theirs.signatures[0, :4].tolist() == vector[scheme]


# ------------------------------------------------------------------------------------------------ is the hash a good one


def single(*texts: str) -> list[int]:
    """The hash of each text as one shingle."""
    hashes: list[int] = shingle_hashes(pa.array(texts), 1000)[1].tolist()
    return hashes


def distinct(texts: list[str]) -> None:
    assert len(set(single(*texts))) == len(set(texts)) == len(texts)


def test_where_a_word_ends_matters() -> None:
    distinct(["ab c", "a bc", "abc", "a b c", "c ab", "bc a"])
    distinct(["水 車", "水車 小", "水小車", "a水", "水a", "aa水"])


def test_repeated_words_and_letters_do_not_cancel() -> None:
    distinct(["a" * length for length in range(1, 600)])
    distinct(["mill " * times for times in range(1, 200)])
    distinct(["mill wheel " * times for times in range(1, 200)])


def test_letters_that_change_places_are_seen_at_any_distance() -> None:
    word = [chr(0x100 + place) for place in range(0, 512, 2)]  # 256 different letters, every one its own lower case
    word = list(map(str.lower, word))
    swapped = {"".join(word)}
    for distance in (1, 2, 32, 63, 64, 65, 128, 192):
        for first in (0, 1, 17):
            copy = word.copy()
            copy[first], copy[first + distance] = copy[first + distance], copy[first]
            swapped.add("".join(copy))
    distinct(sorted(swapped))


def test_short_words_do_not_collide() -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789_äöü"
    distinct([a + b + c for a in alphabet for b in alphabet for c in alphabet])


def test_estimates_are_as_accurate_as_theory_says() -> None:
    generator = np.random.default_rng(7)
    errors = []
    vocabulary = np.array([f"w{number}" for number in range(5000)])
    texts: list[str] = []
    for _ in range(600):
        chosen = generator.choice(vocabulary, 110, replace=False)
        texts += [" ".join(chosen[:100]), " ".join([*chosen[:90], *chosen[100:]])]  # 90 of 110 in common
    values = sketch(pa.array(texts), shingle_words=1, permutations=128, shingles=False).signatures
    errors = (values[::2] == values[1::2]).mean(axis=1) - 90 / 110
    expected = (90 / 110 * 20 / 110 / 128) ** 0.5
    assert abs(errors.mean()) < 3 * expected / 600**0.5
    assert (errors**2).mean() ** 0.5 == pytest.approx(expected, rel=0.1)


def test_a_text_without_words_is_in_no_band() -> None:
    found = sketch(pa.array(["...", "word", None]), shingle_words=5, permutations=12, shingles=False)
    keys = band_keys(found.signatures, 3, 4)
    assert keys.shape == (3, 3)
    assert (keys[:, [0, 2]] == 0).all()
    assert (keys[:, 1] != 0).all()
    assert len(set(keys[:, 1].tolist())) == 3
    # One value that is not the empty one is enough to be in every band.
    values = np.full((1, 12), 0xFFFFFFFF, np.uint32)
    values[0, 11] = 5
    assert (band_keys(values, 2, 4) != 0).all()


@pytest.mark.parametrize(("bands", "rows"), [(0, 1), (1, 0), (5, 3), (13, 1)])
def test_bands_that_need_more_permutations_are_refused(bands: int, rows: int) -> None:
    with pytest.raises(ValueError, match="permutations"):
        band_keys(np.zeros((2, 12), np.uint32), bands, rows)


def test_settings_that_mean_nothing_are_refused() -> None:
    array = pa.array(["a"])
    with pytest.raises(ValueError, match="shingle_words is 0"):
        sketch(array, shingle_words=0, permutations=1, shingles=False)
    with pytest.raises(ValueError, match="'v1', 'datasketch', 'datasketch_legacy'"):
        sketch(array, shingle_words=5, permutations=1, signature="md5", shingles=False)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------- characters

EVERY = np.arange(sys.maxunicode + 1)
LETTER = [chr(code) for code in EVERY]
CATEGORY = [unicodedata.category(letter) for letter in LETTER]
# What this interpreter does not know may be in the table, which is of Unicode 18.0.
KNOWN = [code for code in EVERY.tolist() if CATEGORY[code] != "Cn"]


def kinds_and_lower(kind: WordKind) -> tuple[list[int], list[int]]:
    """The class and the lower case of every code point, as kernels read them."""
    table = character_table(kind)
    entries = table.pages[table.page_of].reshape(-1)
    assert all(table.kind(code) == entries[code] & 15 for code in (0, 65, 0x6C34, 0x10FFFF))
    assert all(table.lower(code) == code + (entries[code] >> 4) for code in (0, 65, 0x6C34, 0x10FFFF))
    return (entries & 15).tolist(), (EVERY + (entries >> 4)).tolist()


def test_lower_case_is_that_of_the_interpreter_but_for_the_dotted_i() -> None:
    for kind in ("unicode", "python"):
        _, lower = kinds_and_lower(kind)
        different = {LETTER[code]: LETTER[lower[code]] for code in KNOWN if LETTER[lower[code]] != LETTER[code].lower()}
        assert different == {"İ": "i"}


def test_classes_are_those_of_the_interpreter() -> None:
    kinds, plain = kinds_and_lower("unicode")[0], kinds_and_lower("python")[0]
    for code in KNOWN:
        letter = LETTER[code]
        assert (kinds[code] in {WORD, UNSPACED}) == (CATEGORY[code][0] in "LMN" or letter == "_"), hex(code)
        assert (kinds[code] == SPACE) == letter.isspace() == (plain[code] == SPACE), hex(code)
        assert (plain[code] == WORD) == (letter.isalnum() or letter == "_"), hex(code)
    assert UNSPACED not in plain
    assert {*kinds[0xD800:0xE000], *plain[0xD800:0xE000]} == {OTHER}


def test_lower_case_changes_no_class_and_is_final() -> None:
    for kind in ("unicode", "python"):
        kinds, lower = kinds_and_lower(kind)
        assert all(lower[small] == small for small in lower)
        assert all(kinds[small] == old for small, old in zip(lower, kinds, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("水車小屋、ラーメン がﾞ", list("水車小屋ラーメンがﾞ")),
        ("ประเทศไทย ໑", list("ประเทศไทย໑")),
        ("ខ្មែរ မြန်မာ", list("ខ្មែរမြန်မာ")),
        ("한국어 문장", ["한국어", "문장"]),
        ("བོད་སྐད་", ["བོད", "སྐད"]),
        ("abc水def", ["abc", "水", "def"]),
        ("i̇ e\u0301té", ["i̇", "e\u0301té"]),
        ("İSTANBUL ΟΔΟΣ ΟΔΟΣ.", ["istanbul", "οδοσ", "οδοσ"]),
        ("don't foo_bar 3.14 v2", ["don", "t", "foo_bar", "3", "14", "v2"]),
        (
            "\U0001e6c0\U0001e6c2 \U00018e00\U00018e01",
            list("\U0001e6c0\U0001e6c2\U00018e00\U00018e01"),
        ),  # younger than Python
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


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
@given(TEXTS, st.integers(1, 6), KINDS)
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
    assert ours.shingles is not None
    assert found.shingles.tolist() == ours.shingles.tolist()


@given(st.lists(st.text("ab \U00020000é", max_size=300), min_size=30, max_size=40))
@settings(max_examples=30, deadline=None)
def test_messages_of_every_length_are_hashed_side_by_side(texts: list[str]) -> None:
    found = sketch(pa.array(texts), shingle_words=60, permutations=4, signature="datasketch", shingles=False)
    assert found.signatures.tolist() == [datasketch_signature(words(text), 60, 4, "affine32") for text in texts]


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
    texts = pa.array(AWKWARD.values())
    found = sketch(texts, shingle_words=5, permutations=32, words=kind, signature=signature, shingles=False).signatures
    for row, (name, text) in enumerate(AWKWARD.items()):
        # Ten megabytes of one sentence have few different shingles: the slow reference needs to see each only once.
        seen = words(SENTENCE * 3 if name == "ten megabytes" else text, kind)
        assert found[row].tolist() == datasketch_signature(seen, 5, 32, scheme), name


@given(st.text(st.one_of(LETTERS, st.sampled_from("İΣΑ\u0301'. ")), max_size=40))
@settings(max_examples=300, deadline=None)
def test_python_words_are_what_a_regular_expression_finds(text: str) -> None:
    text = "".join(one for one in text if unicodedata.category(one) != "Cn")
    assert words(text, "python") == re.findall(r"\w+", text.lower())
