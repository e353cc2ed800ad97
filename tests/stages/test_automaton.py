r"""The automaton against `re`: what it finds, and the characters that each class holds, over all code points."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from ftfy.badness import BADNESS_RE, MOJIBAKE_CATEGORIES
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages import unicode_forms
from corpusmill.stages.automaton import UnknownSyntaxError, compile_patterns, found_in, members
from corpusmill.stages.encoding_repair import lines_of
from corpusmill.stages.text_buffers import text_buffers

SURROGATES = range(0xD800, 0xE000)
CHARACTERS = [chr(code) for code in range(0x110000) if code not in SURROGATES]
BADNESS = compile_patterns([], [BADNESS_RE])
DAMAGE = st.lists(
    st.sampled_from(
        [
            *"abZ \t\n.,!?éÃÂÎÐØÙœŒàß°€™®»«©‚„√≈×²³µ¼½ŸŠŽžšвЂГўВАРСβΒΓΞΟā│╔☺",
            "\x80",
            "\x9d",
            "\xa0",
            "\xad",
            "\ufffd",
            "â€",
            "ГўВЂВ",
        ]
    ),
    max_size=12,
).map("".join)


EVERY = "".join(CHARACTERS)
SINGLES = text_buffers(pa.array(CHARACTERS, pa.large_string()))
CLASSES = [
    *(f"[{characters}]" for characters in MOJIBAKE_CATEGORIES.values()),
    r"\w",
    r"\s",
    r"[^\s\d]",
    r"\W",
    "[^A-Za-z]",
    ".",
    "x",
]


def found(texts: list[str], *patterns: str) -> list[bool]:
    hits: list[bool] = found_in(text_buffers(pa.array(texts, pa.large_string())), compile_patterns(patterns)).tolist()
    return hits


@pytest.mark.parametrize("pattern", CLASSES)
def test_classes_over_all_code_points(pattern: str) -> None:
    expected = np.zeros(len(EVERY), np.bool_)
    for match in re.finditer(f"{pattern}+", EVERY):
        expected[match.start() : match.end()] = True
    assert np.array_equal(found_in(SINGLES, compile_patterns([pattern])), expected)


def test_members_are_those_of_re() -> None:
    characters = "a-c\xe4\u2000-\u200a\\s"
    expected = [bool(re.match(f"[{characters}]", chr(code))) for code in range(0x3000)]
    assert members(characters)[:0x3000].tolist() == expected


@settings(max_examples=2000, deadline=None)
@given(text=DAMAGE)
def test_badness_is_that_of_ftfy_line_by_line(text: str) -> None:
    expected = any(BADNESS_RE.search(line) for line in lines_of(text))
    assert bool(found_in(text_buffers(pa.array([text])), BADNESS)[0]) == expected


@settings(max_examples=500, deadline=None)
@given(
    text=st.text("ab\n ", max_size=8),
    pattern=st.sampled_from(["ab?a", "a+b", "(?:a|bb)b", "a{2,3}b", r"^a|b\Z", r"\Aa ", "a*b b", "^ "]),
)
def test_patterns_are_found_where_re_finds_them(text: str, pattern: str) -> None:
    assert found([text], pattern) == [bool(re.search(pattern, text, re.MULTILINE))]


@pytest.mark.parametrize("pattern", [r"a(?=b)", r"\bword", "(a)\\1", "(?i)x", "a*", "a$", "a*?b"])
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(UnknownSyntaxError):
        compile_patterns([], [re.compile(pattern)])


def test_bytes_that_are_no_utf8_are_found() -> None:
    broken = [
        b"\xc3",
        b"\x80",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\xe2\x82",
    ]
    array = pa.Array.from_buffers(pa.large_string(), len(broken), pa.array(broken, pa.large_binary()).buffers())
    assert found_in(text_buffers(array), compile_patterns(["never"])).all()


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_no_text_that_is_not_normalized_is_passed_over(form: Literal["NFC", "NFKC"]) -> None:
    tables = unicode_forms.form_tables(form)
    automaton = compile_patterns(["\uffff"]).with_attributes(tables.attributes)
    second = [c for c in CHARACTERS if unicodedata.combining(c) or tables.attributes[ord(c)]]
    first = [
        "",
        *"aeAoußαи\u0627\u3046\u1100가각",
        "é",
        "ǘ",
        "\u09c7",
        "\u0bc6",
        "\u0301",
        "\u0323",
        "\u093c",
        "e\u0323",
        "゛",
    ]
    texts = [a + b for a in first for b in second] + CHARACTERS
    hits = found_in(text_buffers(pa.array(texts, pa.large_string())), automaton, tables)
    assert not [
        text for text, hit in zip(texts, hits, strict=True) if not hit and not unicodedata.is_normalized(form, text)
    ]


def test_pairs_that_combine_are_known() -> None:
    tables = unicode_forms.form_tables("NFC")
    automaton = compile_patterns(["\uffff"]).with_attributes(tables.attributes)
    apart = [unicodedata.normalize("NFD", c) for c in CHARACTERS]
    apart = [text for text, c in zip(apart, CHARACTERS, strict=True) if text != c]
    assert len(apart) > 12_000
    assert found_in(text_buffers(pa.array(apart, pa.large_string())), automaton, tables).tolist() == [
        not unicodedata.is_normalized("NFC", text) for text in apart
    ]
