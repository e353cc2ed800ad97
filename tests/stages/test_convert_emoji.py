from __future__ import annotations

import re
from typing import get_args, get_type_hints

import emoji
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, RecipeError
from corpusmill.stages.convert_emoji import ConvertEmoji, EmojiTable
from corpusmill.stages.text_buffers import text_buffers

QUALIFIED = [s for s, data in emoji.EMOJI_DATA.items() if data["status"] == emoji.STATUS["fully_qualified"]]
STILL_TEXT = {"©\ufe0f", "®\ufe0f", "™\ufe0f"}
TABLE = EmojiTable("en")
LONGEST = max(map(len, TABLE.names))
ENDS = {"\u200d", "\ufe0f", *map(chr, range(0xE0020, 0xE0080))}
BUILT = {mode: ConvertEmoji(mode=mode).build() for mode in ("name", "words", "remove", "keep")}
PIECES = st.lists(
    st.sampled_from(
        [
            *"a:.( \n#1☺♂©⌚🏽😀👨👩🇩🇪🏴",
            "\u200d",
            "\ufe0f",
            "\ufe0e",
            "\u20e3",
            "\U000e0067",
            "\U000e007f",
            "👨\u200d👩\u200d👧",
            "❤\ufe0f",
        ]
    ),
    max_size=25,
).map("".join)


def converted(text: str, mode: str = "name") -> tuple[str, int]:
    document = Document(text=text)
    BUILT[mode](document)
    return document.text, document.signals["emoji"]


def test_every_qualified_sequence_is_one_name_that_reads_back() -> None:
    assert len(QUALIFIED) > 3500
    for sequence in QUALIFIED:
        name, count = converted(sequence)
        if sequence in STILL_TEXT:
            assert (name, count) == (sequence[0], 0)
            continue
        assert count == 1
        assert re.fullmatch(r":[^:\s]+:", name), name
        assert emoji.emojize(name) == sequence


def test_every_known_sequence_of_two_or_more_characters_is_found() -> None:
    # Guards the merged ranges of first characters against newer emoji.
    for sequence in emoji.EMOJI_DATA:
        if len(sequence) > 1 and sequence not in STILL_TEXT:
            assert converted(f"a{sequence}b")[1] == 1, sequence.encode("unicode_escape")


def plainly_found(text: str) -> list[tuple[int, int, str]]:
    """Return what `EmojiTable.find` does, a character at a time."""
    found, at, done = [], 0, 0
    while at < len(text):
        sizes = [size for size in range(1, min(LONGEST, len(text) - at) + 1) if text[at : at + size] in TABLE.names]
        start, size = at, max(sizes, default=0)
        at += size or (2 if re.match("[\U0001f1e6-\U0001f1ff]{2}", text[at:]) else 1)
        if not size or text[at : at + 1] == "\ufe0e":
            continue
        name = TABLE.names[text[start:at]]
        while text[at : at + 1] and text[at] in ENDS:
            at += 1
        while start > done and text[start - 1] in "\u200d\ufe0f":
            start -= 1
        found.append((start, at, name))
        done = at
    return found


@settings(max_examples=1000, deadline=None)
@given(text=st.one_of(st.text(), PIECES, st.lists(st.sampled_from([*emoji.EMOJI_DATA]), max_size=5).map("".join)))
def test_kernels_find_what_a_plain_search_finds(text: str) -> None:
    found = plainly_found(text)
    assert TABLE.find(text) == found
    encoded = text.encode("utf-8", "replace").decode()
    assert not found or TABLE.may_have_emoji(text_buffers(pa.array([encoded]))).all()


def test_texts_without_emoji_are_passed_over() -> None:
    guard = ConvertEmoji().guard()
    assert not guard(
        text_buffers(pa.array(["plain 123 #1 *", "© 2020 ™ ®", "a ↔ b ✓ ♀ ☺", "日本語", "🇩 alone", "\u200d\ufe0f"]))
    ).any()
    assert guard(text_buffers(pa.array(["😀", "1\ufe0f\u20e3", "☺\ufe0f", "🇩🇪"]))).all()


def test_with_text_symbols_every_known_sequence_is_one_name() -> None:
    apply = ConvertEmoji(text_symbols=True).build()
    for sequence in emoji.EMOJI_DATA:
        document = Document(text=sequence)
        apply(document)
        assert re.fullmatch(r":[^:\s]+:", document.text), sequence.encode("unicode_escape")
        assert document.signals["emoji"] == 1


def test_text_characters_stay_text() -> None:
    text_default = [
        s for s, d in emoji.EMOJI_DATA.items() if len(s) == 1 and d["status"] == emoji.STATUS["unqualified"]
    ]
    text = " ".join(text_default)
    assert len(text_default) > 200
    assert converted(text) == (text, 0)


@pytest.mark.parametrize("mode", ["name", "words", "remove", "keep"])
@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(), PIECES))
def test_converting_twice_changes_nothing_more(mode: str, text: str) -> None:
    once, _ = converted(text, mode)
    assert converted(once, mode)[0] == once


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(), PIECES))
def test_count_does_not_depend_on_the_mode(text: str) -> None:
    assert len({converted(text, mode)[1] for mode in BUILT}) == 1
    assert converted(text, "keep")[0] == text


@settings(max_examples=300, deadline=None)
@given(words=st.lists(st.sampled_from(["so", "日本", "3", "😀", "🇩🇪", "👍🏽"]), max_size=8), blanks=st.booleans())
def test_one_blank_between_names_and_words(words: list[str], blanks: bool) -> None:
    names = {"😀": ":grinning_face:", "🇩🇪": ":Germany:", "👍🏽": ":thumbs_up_medium_skin_tone:"}
    if not blanks:  # words that touch each other would be one word: keep emoji between them
        words = [piece for word in words for piece in ((word, "😀") if word not in names else (word,))]
    given_text = (" " if blanks else "").join(words)
    assert converted(given_text)[0] == " ".join(names.get(word, word) for word in words)


def test_languages_are_those_of_the_package() -> None:
    assert set(get_args(get_type_hints(ConvertEmoji)["language"])) == set(emoji.LANGUAGES)
    document = Document(text="Hallo😀")
    ConvertEmoji(language="de").build()(document)
    assert document.text == "Hallo :grinsendes_gesicht:"


@pytest.mark.parametrize(
    "text",
    [
        "\u200d" * 500_000,
        "👨\u200d" * 100_000,
        "🇩" * 300_000,
        "☺" * 300_000,
        "😀\ufe0f\u200d" * 100_000,
        "1\u20e3" * 100_000,
    ],
)
def test_hostile_text_is_linear(text: str) -> None:
    # A quadratic step would take hours here: the test would not end, rather than fail.
    assert not {"😀", "👨", "\u20e3"} & set(converted(text)[0])
    assert len(converted(text, "remove")[0]) <= len(text)


def test_settings_are_validated() -> None:
    with pytest.raises(RecipeError, match="mode"):
        ConvertEmoji(mode="delete")  # type: ignore[arg-type]


@pytest.mark.parametrize("text_symbols", [False, True])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_shortest_sequence_over_and_over_is_found_each_time(language: str, text_symbols: bool) -> None:
    table = EmojiTable(language, text_symbols=text_symbols)
    size = min(len(sequence.encode()) for sequence in table.names)
    shortest = [sequence for sequence in table.names if len(sequence.encode()) == size]
    assert not text_symbols or set(shortest) == {"©", "®"}
    for sequence in shortest:
        for count in (1, 2, 3, 1000, 4999):
            found = table.find(sequence * count)
            assert found == [
                (at, at + len(sequence), table.names[sequence]) for at in range(0, len(sequence) * count, len(sequence))
            ]


def test_legal_signs_in_a_row_become_as_many_names() -> None:
    document = Document(text="©" * 1000 + "®" * 1000)
    ConvertEmoji(text_symbols=True).build()(document)
    assert document.signals["emoji"] == 2000
    assert document.text == " ".join([":copyright:"] * 1000 + [":registered:"] * 1000)
