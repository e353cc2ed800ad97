from __future__ import annotations

from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.remove_repeated_lines import RemoveRepeatedLines, without_repeats
from corpusmill.stages.text_buffers import text_buffers

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


PIECES = st.sampled_from(
    [
        *"aAbßẞſsSkKK\u212aİiıςσΣĳﬁև\u0345\u1e9bÅ\u212b水я Я\t\xa0\u3000\x1f\x85\u2028\r",
        "ss",
        "SS",
        "fi",
        "\n",
        "\n",
        "\n",
        "  ",
    ]
)


@settings(max_examples=500, deadline=None)
@given(texts=st.lists(st.lists(PIECES, max_size=24).map("".join), min_size=1, max_size=5), minimum=st.integers(1, 4))
def test_the_guard_misses_no_repeat(texts: list[str], minimum: int) -> None:
    guard = RemoveRepeatedLines(minimum_characters=minimum).guard()
    assert guard is not None
    for text, busy in zip(texts, guard(text_buffers(pa.array(texts, pa.large_string()))).tolist(), strict=True):
        repeats = without_repeats(text, minimum)[1]
        assert busy or not repeats
        if not busy:
            assert not without_repeats(text, minimum, anywhere=False)[1]


def test_the_guard_passes_over_ordinary_texts() -> None:
    guard = RemoveRepeatedLines().guard()
    assert guard is not None
    texts = [
        "\n".join(f"Line {number} of the story of the mill, again and again." for number in range(300)),
        "",
        "{\n}\n{\n}\n",
    ]
    texts += [f"Straße und Fluß, eine lange Zeile ohne Ende.\n{number}" for number in range(3)]
    texts += [
        f"{LONG}\nno\n{LONG.upper()}",
        "Die STRASSE am Rand des alten Dorfes.\ndie  Straße am Rand des alten Dorfes.",
    ]
    assert guard(text_buffers(pa.array(texts, pa.large_string()))).tolist() == [False] * 6 + [True] * 2


def test_paragraphs_and_hosts_have_no_guard() -> None:
    for stage in (RemoveRepeatedLines(unit="paragraph"), RemoveRepeatedLines(scope="host")):
        assert stage.guard() is None
        assert stage.kernels == ()
