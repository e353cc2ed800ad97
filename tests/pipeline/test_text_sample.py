"""The sample is what sorting all texts would give, whatever their order, and memory does not grow with them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.text_sample import TextSample, balanced

SIZE = 400_000
SHARES = {"en": 0.8, "de": 0.19, "is": 0.01}


def texts(count: int) -> list[tuple[str, int, str]]:
    """Return texts as a sample takes them: language, number, text of 400 bytes on average."""
    dice = random.Random(5)
    languages = dice.choices(list(SHARES), list(SHARES.values()), k=count)
    return [
        (language, dice.getrandbits(64), f"{number:06d} " + "é" * dice.randrange(400))
        for number, language in enumerate(languages)
    ]


def by_sorting(given: list[tuple[str, int, str]], exponent: float) -> dict[str, list[str]]:
    seen: dict[str, int] = {}
    for language, _, text in given:
        seen[language] = seen.get(language, 0) + len(text.encode())
    taken: dict[str, list[str]] = {}
    for language, target in balanced(seen, SIZE, exponent).items():
        taken[language], size = [], 0
        for _, text in sorted((drawn, text) for other, drawn, text in given if other == language):
            if size < target:
                taken[language].append(text)
                size += len(text.encode())
    return taken


def decoded(drawn: TextSample) -> dict[str, list[str]]:
    return {language: [text.decode() for text in texts] for language, texts in drawn.texts().items()}


def sample(exponent: float) -> TextSample:
    return TextSample(lambda seen: balanced(seen, SIZE, exponent))


@pytest.mark.parametrize("exponent", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("order", ["as drawn", "reversed", "by language", "by size"])
def test_the_sample_is_that_of_sorting_all_texts_whatever_their_order(exponent: float, order: str) -> None:
    given = texts(12_000)
    keys = {"by language": lambda entry: entry[0], "by size": lambda entry: -len(entry[2])}
    ordered = given[::-1] if order == "reversed" else sorted(given, key=keys[order]) if order in keys else given
    drawn = sample(exponent)
    most = 0
    for entry in ordered:
        drawn.add(*entry)
        most = max(most, drawn.held)
    assert decoded(drawn) == by_sorting(given, exponent)
    assert sum(drawn.seen.values()) > 10 * SIZE
    assert most < 2 * SIZE + len(SHARES) * (1 << 19)


def test_what_is_small_is_taken_whole() -> None:
    drawn = sample(1.0)
    for number, text in enumerate(["b", "", "a", "c"]):
        drawn.add("en", 10 - number, text)
    assert decoded(drawn) == {"en": ["c", "a", "b"]}
    assert drawn.seen == {"en": 3}
    assert sample(0.5).texts() == {}


def test_a_sample_smaller_than_any_text_is_one_text() -> None:
    drawn = TextSample(lambda seen: balanced(seen, 1, 1.0))
    for entry in texts(50):
        drawn.add("en", *entry[1:])
    assert len(drawn.texts()["en"]) == 1


SEEN = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10**12), min_size=1)


@settings(max_examples=100, deadline=None)
@given(seen=SEEN, size=st.integers(1, 10**12), exponent=st.floats(0, 1))
def test_shares_fill_the_sample_and_no_language_gives_more_than_it_has(
    seen: dict[str, int], size: int, exponent: float
) -> None:
    targets = balanced(seen, size, exponent)
    assert targets.keys() == seen.keys()
    assert all(0 <= targets[group] <= seen[group] * (1 + 1e-9) for group in seen)
    assert math.isclose(sum(targets.values()), min(size, sum(seen.values())), rel_tol=1e-6)


@settings(max_examples=100, deadline=None)
@given(seen=SEEN, size=st.integers(1, 10**12), exponent=st.floats(0, 1), data=st.data())
def test_more_text_never_raises_the_share_that_is_wanted(
    seen: dict[str, int], size: int, exponent: float, data: st.DataObject
) -> None:
    more = dict(seen)
    group = data.draw(st.sampled_from("abcdefgh"))
    more[group] = more.get(group, 0) + data.draw(st.integers(1, 10**12))
    before, after = balanced(seen, size, exponent), balanced(more, size, exponent)
    assert all(after[name] / more[name] <= before[name] / seen[name] * (1 + 1e-9) for name in seen)


def test_a_smaller_exponent_gives_rare_languages_more() -> None:
    seen = {"en": 10**9, "de": 10**8, "is": 10**7}
    rare = [balanced(seen, 10**6, exponent)["is"] for exponent in (1.0, 0.7, 0.3, 0.0)]
    assert rare == sorted(rare)
    assert rare[0] == pytest.approx(1e6 / 111)
    assert rare[-1] == pytest.approx(1e6 / 3)
