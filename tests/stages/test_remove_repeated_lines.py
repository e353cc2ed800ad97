from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.remove_repeated_lines import RemoveRepeatedLines, without_repeats

LONG = "Subscribe to our newsletter for weekly updates."
TEXTS = st.lists(st.sampled_from(["ab", "AB ", "abc", "a  b", "", " ", "\n", "\n\n", "\t", "\r\n"]), max_size=20).map(
    "\n".join
)


def processed(text: str, **settings: object) -> tuple[str, int, float]:
    document = Document(text=text)
    assert RemoveRepeatedLines(maximum_share=None, **settings).apply(document) is document  # type: ignore[arg-type]
    return document.text, document.signals["repeated_lines"], document.signals["repeated_line_share"]


@pytest.mark.parametrize("unit", ["line", "paragraph"])
@pytest.mark.parametrize("scope", ["anywhere", "consecutive"])
@settings(max_examples=200)
@given(text=TEXTS)
def test_removing_twice_removes_nothing_more(
    unit: Literal["line", "paragraph"], scope: Literal["anywhere", "consecutive"], text: str
) -> None:
    once, count, share = processed(text, unit=unit, scope=scope, minimum_characters=2)
    assert processed(once, unit=unit, scope=scope, minimum_characters=2) == (once, 0, 0.0)
    assert 0 <= share <= 1
    assert bool(once.strip()) == bool(text.strip())  # the first of equal ones stays, so something always does
    if not count:
        assert once == text


@given(text=TEXTS)
def test_every_distinct_line_is_kept_once(text: str) -> None:
    def keys(lines: str) -> list[str]:
        return [key for line in lines.split("\n") if (key := " ".join(line.split()).casefold())]

    out, count, _ = processed(text, minimum_characters=1)
    assert keys(out) == list(dict.fromkeys(keys(text)))
    assert count == len(keys(text)) - len(keys(out))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{LONG}\n{LONG}", LONG),
        (f"{LONG}\n{LONG}\n", f"{LONG}\n"),
        (f"{LONG}\n\n{LONG}\n\nb", f"{LONG}\n\nb"),
        (f"a\n{LONG}\nb\n{LONG}\nc", f"a\n{LONG}\nb\nc"),
        (f"{LONG}\na\n\n{LONG}\n\nb", f"{LONG}\na\n\nb"),
        (f"{LONG}\r\na\r\n{LONG}\r\nb", f"{LONG}\r\na\r\nb"),
    ],
)
def test_blank_lines_around_a_repeat(text: str, expected: str) -> None:
    assert processed(text)[0] == expected


def test_minimum_counts_folded_characters() -> None:
    text = "  a    b  \n  a    b  "
    assert processed(text, minimum_characters=4) == (text, 0, 0.0)
    assert processed(text, minimum_characters=3) == ("  a    b  ", 1, 0.5)


def test_paragraphs_do_not_lose_lines() -> None:
    text = f"{LONG}\nfirst\n\n{LONG}\nsecond"
    assert processed(text, unit="paragraph") == (text, 0, 0.0)


def test_share_decides() -> None:
    text = "\n".join([LONG] * 3)
    document = Document(text=text)
    drop = RemoveRepeatedLines().apply(document)
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.limit) == ("repetitive", 0.5)
    assert drop.value == pytest.approx(2 / 3)
    assert document.signals == {"repeated_lines": 2, "repeated_line_share": pytest.approx(2 / 3)}
    exactly = Document(text=f"{LONG}\n{LONG}")
    assert RemoveRepeatedLines().apply(exactly) is exactly  # as much as the limit is not more


def test_hostile_text_is_linear() -> None:
    assert without_repeats("\n" * 1_000_000, 1) == ("\n" * 1_000_000, 0, 0)
    assert without_repeats(" \n" * 300_000, 1, paragraphs=True)[1] == 0
    assert without_repeats("a\n" * 300_000, 1)[:2] == ("a\n", 299_999)
    assert without_repeats(("a" * 1000 + "\n\n") * 1000, 1, paragraphs=True)[1] == 999


def test_settings_are_validated() -> None:
    with pytest.raises(RecipeError, match="maximum_share"):
        RemoveRepeatedLines(maximum_share=1.5)
