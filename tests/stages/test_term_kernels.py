"""Terms found in bytes: the very matches of the automaton over strings, and the very words of `words_of`, for any text."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_quality import words_of

from corpusmill.stages.disguised_terms import DisguisedTerms
from corpusmill.stages.kernels import term_symbols
from corpusmill.stages.kernels import terms as kernels
from corpusmill.stages.term_matcher import TermMatcher
from corpusmill.stages.term_table import characters, count_words
from corpusmill.stages.text_buffers import text_buffers

LETTERS = (
    "abcABCıIİißSsﬁﬀǰŉkKſﬆéÉeÅåñёЁеЕаАكتابالوبأإآىییהביתकमलाड़\u093cカタアーﾊﾟあい白菜大\u3007กาแฟะเ"
    "\U00020000\U00010400\U00010428\U0001d41a𝐚Ａａ１²½_9α\u0390ΐᾳῼ가각"
)
UNSEEN = "\u00ad\u200b\u200d\ufe0f\u0640\u064e\u0336\u2060"
BETWEEN = "   \n\t-.,'’*!\xa0\u3000\u2010😀。、\x00ªº˖@$"
MARKS = "\u0301\u0307\u0308\u3099\u0345"


def word(source: random.Random, alphabet: str, most: int) -> str:
    return "".join(source.choices(alphabet, k=source.randint(1, most)))


def term(source: random.Random) -> str:
    alphabet = source.choice([LETTERS, LETTERS[:20], "ab", "aß", "كتابالو", "あ白菜", "กาแฟ", "カア", "kK"])
    words = [word(source, alphabet, source.choice([2, 3, 5, 8])) for _ in range(source.choice([1, 1, 1, 2, 3]))]
    made = " ".join(words)
    if source.random() < 0.1:
        made = made.replace(made[len(made) // 2], source.choice("*'-."), 1)
    made = "*" * (source.random() < 0.1) + made + "*" * (source.random() < 0.2)
    return made if any(map(str.isalnum, made)) else "a"


def text_with(source: random.Random, terms: list[str]) -> str:
    parts: list[str] = []
    for _ in range(source.choice([2, 10, 40, 200])):
        kind = source.random()
        if kind < 0.3:
            part = source.choice(terms).strip("*")
            part = part.upper() if source.random() < 0.3 else part
            part = part.replace(" ", source.choice(["  ", "\n", "-", ". ", "\n\n"])) if source.random() < 0.2 else part
            at = source.randrange(len(part) + 1)
            parts.append(part[:at] + source.choice(UNSEEN) * source.choice([0, 0, 0, 1, 3]) + part[at:])
        elif kind < 0.6:
            parts.append(word(source, LETTERS, 4))
        elif kind < 0.65:
            parts.append(source.choice(UNSEEN) * source.randint(1, 600))
        elif kind < 0.652:
            parts.append(source.choice(MARKS))
        elif kind < 0.66:
            parts.append(source.choice(["a", "ab ", "白", "x. "]) * source.randint(50, 200))
        if source.random() < 0.6:
            parts.append(source.choice(BETWEEN) * source.choice([1, 1, 1, 2]))
    return "".join(parts)


@pytest.mark.parametrize("seed", range(6))
def test_terms_are_found_as_the_automaton_finds_them(seed: int) -> None:
    source = random.Random(seed)
    terms = [term(source) for _ in range(source.choice([3, 30, 200]))]
    languages = [source.choice(["", "ar", "he", "tr", "en"]) for _ in terms]
    matcher = TermMatcher(terms, languages, [term(source) for _ in range(10)])
    texts = [text_with(source, terms) for _ in range(60)]
    found = matcher.texts_with_terms(text_buffers(pa.array(texts, pa.large_string())))
    for text, may in zip(texts, found, strict=True):
        expected = matcher.find_anywhere(text)
        assert matcher.find(text) == expected
        assert may or not expected


def test_a_long_text_with_a_few_accents_of_their_own_is_looked_at_around_them() -> None:
    source = random.Random(4)
    terms = ["café noir", "naïf*", "dura", "*ende", "żółć", "qed"]
    matcher = TermMatcher(terms, [""] * len(terms), ["durant"])
    plain = ["the", "of", "été", "maison", "größe", "ниже", "é", "und", "ñ"]
    around, matches = 0, 0
    for _ in range(300):
        parts = source.choices(plain, k=600)
        for at in source.sample(range(600), 3):
            part = source.choice(terms).strip("*")
            place = source.randrange(len(part) + 1)
            accent = source.choice([*"\u0301\u0307\u0328\u0334", "\u0301" * 33, "\u3099"])
            parts[at] = source.choice([unicodedata.normalize("NFD", part), part[:place] + accent + part[place:], part])
        text = "".join(part + source.choice("    -\n") for part in parts)
        expected = matcher.find_anywhere(text)
        assert matcher.find(text) == expected
        around += matcher.read(text).occurrences is not None and bool(accents_of(text))
        matches += len(expected)
    assert around > 100
    assert matches > 200


def test_a_text_with_very_many_accents_is_looked_at_all_through() -> None:
    matcher = TermMatcher(["dura"], [""])
    text = "the house of words " * 200 + "e{} the dura house"
    for count, is_around in ((20, True), (2_000, False)):
        accented = text.format("\u0301" * count)
        assert (matcher.read(accented).occurrences is not None) == is_around
        assert matcher.find(accented) == matcher.find_anywhere(accented) != []


def accents_of(text: str) -> list[str]:
    return [character for character in text if character in "\u0301\u0307\u0328\u0334\u0308"]


@pytest.mark.parametrize("seed", range(6))
def test_words_in_letters_of_two_bytes_are_found_as_the_automaton_finds_them(seed: int) -> None:
    source = random.Random(seed)
    alphabet = source.sample("абвгёоЕЖαβςΣοéüñßİĳա\u05d0\u0627", 7) + source.sample("aoxs\u0301\u00ad中कʼ-", 3)

    def letters(most: int) -> str:
        return "".join(source.choices(alphabet, k=source.randint(1, most)))

    terms = [word for word in (letters(6) for _ in range(40)) if any(map(str.isalnum, word))]
    stars = ["*", "", "", ""]
    matcher = TermMatcher([source.choice(stars) + word + source.choice(stars) for word in terms], [""] * len(terms))
    texts = [
        "".join(source.choice((letters(5), source.choice(terms), " ", "a ", ". ")) for _ in range(30))
        for _ in range(200)
    ]
    found = matcher.texts_with_terms(text_buffers(pa.array(texts, pa.large_string()))).tolist()
    for text, may in zip(texts, found, strict=True):
        expected = matcher.find_anywhere(text)
        assert matcher.find(text) == expected
        assert may or not expected
    assert any(found)


@given(st.text(st.sampled_from(LETTERS + BETWEEN + MARKS + UNSEEN), max_size=60) | st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_words_are_counted_as_the_quality_rules_count_them(text: str) -> None:
    assert count_words(np.frombuffer(text.encode(), np.uint8)) == words_of(text).count


def test_half_a_surrogate_pair_is_no_letter() -> None:
    assert [match[:2] for match in TermMatcher(["one"], [""]).find("\ud800one one")] == [(1, 4), (5, 8)]


def test_bytes_that_are_not_text_are_no_terms() -> None:
    damaged = pa.array([b"one \xff\xfe", b"\xc3", b"\xf0\x9f"], pa.binary()).view(pa.string()).cast(pa.large_string())
    assert TermMatcher(["one", "two"], ["", ""]).texts_with_terms(text_buffers(damaged)).tolist() == [
        True,
        False,
        False,
    ]


def test_every_character_has_an_entry_and_no_character_becomes_more_symbols_than_bytes() -> None:
    pages, page_of = characters().pages, characters().page_of
    assert pages[page_of[ord("ß") >> 7], ord("ß") & 127] & term_symbols.EXPANDED == term_symbols.EXPANDED
    for code in range(0x300, 0x110000, 7):
        entry = int(pages[page_of[code >> 7], code & 127])
        if unicodedata.category(chr(code)) in ("Zs", "Po", "Sm", "So"):
            assert entry & 0xFFFF in (term_symbols.BLANK, code), hex(code)


WORDS = ["florpen", "zonkit", "grimble", "квакша", "wibble"]
DISGUISED = [
    ("a fl0rpen", ["fl0rpen"]),
    ("FLORRRPEN flooorpennn", ["FLORRRPEN", "flooorpennn"]),
    ("f l o r p e n, f.l.o.r.p.e.n a f l o r p e n", ["f l o r p e n", "f.l.o.r.p.e.n", "f l o r p e n"]),
    ("fl*rpen f**rpen fl***en f*****n", ["fl*rpen", "f**rpen", "fl***en"]),
    ("z0nk1t z0nk!t z0nkit!!", ["z0nk1t", "z0nk!t", "z0nkit"]),
    ("florpe\u0578 fl\u043erpen", ["fl\u043erpen"]),
    ("кваaкша квакшa квакшааа", ["квакшa", "квакшааа"]),
    ("grimmmble gr1mbles gr1mbled", ["grimmmble", "gr1mbles", "gr1mbled"]),
    ("florpen b2b 1st covid19 www.zonk.it fl0rpeno éfl0rpen fl0rpené a1b2c3d4", []),
    ("f l o r p e n s f l o r p", ["f l o r p e n"]),
    ("w1bble w1ble wiiible", ["w1bble"]),
]


@pytest.mark.parametrize(("text", "expected"), DISGUISED)
def test_words_that_are_spelled_to_be_missed(text: str, expected: list[str]) -> None:
    disguised = DisguisedTerms([(word, at, word == "grimble") for at, word in enumerate(WORDS)], ["wiiible"])
    read = TermMatcher([], [], [], disguised.tables).read(text)
    assert [read.data[a:b].tobytes().decode() for a, b, _ in disguised.find(read, read.odd)] == expected


@pytest.mark.parametrize("seed", range(6))
def test_no_word_is_passed_over_that_would_be_read_as_a_term(seed: int) -> None:
    """The kernels pick words to look at; looking at all of them finds no others."""
    source = random.Random(seed)
    disguised = DisguisedTerms([(word, at, word == "grimble") for at, word in enumerate(WORDS)], [])
    matcher = TermMatcher([], [], [], disguised.tables)
    letters = "abflorpenzkitgmw" + "0134579@$!|+*" + "аеокршв" + "éα中\u00ad"
    hits = 0
    for _ in range(300):
        parts = []
        for _ in range(source.randint(1, 12)):
            made = source.choice(WORDS) if source.random() < 0.7 else word(source, letters, 9)
            for _ in range(source.randint(0, 3)):
                at = source.randrange(len(made))
                made = (
                    made[:at] + source.choice([made[at] * 3, source.choice(letters), made[at].upper()]) + made[at + 1 :]
                )
            if source.random() < 0.2:
                made = source.choice(" .-").join(made)
            parts.append(made)
        text = source.choice([" ", ", ", "  ", "\n"]).join(parts)
        read = matcher.read(text)
        everything = [at | sight for at in range(read.size) for sight in (kernels.SIGNED, kernels.SPREAD)]
        starts = [
            at for at in everything
            if not at & kernels.SPREAD or (at & kernels.WRITTEN - 1) == 0
            or read.room.symbols[(at & kernels.WRITTEN - 1) - 1] == term_symbols.BLANK
        ]  # fmt: skip
        expected = disguised.find(read, starts)
        hits += len(expected)
        assert disguised.find(read, read.odd) == expected, text
        (may,) = matcher.texts_with_terms(text_buffers(pa.array([text], pa.large_string())))
        assert may or not expected
    assert hits > 100


@pytest.mark.parametrize("piece", ["fl0rpen", "f l ", "a", "İ", "aааa", "a1", "florpennn ", "fl*", "а", "f.", "k3k"])
def test_a_megabyte_of_disguises_is_read_once(piece: str) -> None:
    disguised = DisguisedTerms([(word, at, True) for at, word in enumerate(WORDS)], [])
    read = TermMatcher([], [], [], disguised.tables).read(piece * (1_000_000 // len(piece)))
    assert len(disguised.find(read, read.odd[:1000])) <= 1000
    assert len(read.odd) <= read.size
