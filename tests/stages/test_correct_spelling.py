from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, RecipeError
from corpusmill.stages import correct_spelling
from corpusmill.stages.correct_spelling import CorrectSpelling, spelling_variants
from corpusmill.stages.spelling_dictionary import load_dictionary

PROSE = (
    "Although several neighbours complained about the noise, everyone watched the football match until midnight, while my"
    " brother cooked dinner and nobody noticed that the kitchen window stayed open through the whole evening outside. "
)


@pytest.fixture(scope="module")
def default() -> object:
    return CorrectSpelling().build()


def corrected(apply: object, text: str) -> tuple[str, int, float]:
    document = Document(text=text)
    assert apply(document) is document  # type: ignore[operator]
    return document.text, document.signals["corrected"], document.signals["misspelling_rate"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("definately", "definitely"),
        ("goverment", "government"),
        ("becuase", "because"),
        ("tomorow", "tomorrow"),
        ("occured", "occurred"),
        ("accomodation", "accommodation"),
        ("begining", "beginning"),
        ("recieved", "received"),  # two letters swapped, rather than one wrong in relieved
    ],
)
def test_certain_slips_are_corrected(default: object, wrong: str, right: str) -> None:
    text, count, rate = corrected(default, f"{PROSE}Then {wrong} came.")
    assert text == f"{PROSE}Then {right} came."
    assert count == 1
    assert 0 < rate < 0.06


@pytest.mark.parametrize(
    "word",
    [
        "Definately",  # a capital: may be a name
        "teh",  # short
        "definately's",
        "definately-made",
        "un/definately",
        "definately2",
        "definately()",
        "definately.com",
        "'definately'",
        "_definately_",
        "definately and definately",  # twice: a term
        "definatelyé",
        "neighborhood and colorful skeptics were traveling",
        "microfiche rewatchable bloglike",  # derivations
        "carmaker",  # compound
        "wierd",  # weird or wired
        "shoppin",  # dialect
    ],
)
def test_others_are_left_alone(default: object, word: str) -> None:
    text = f"{PROSE}Then {word} came."
    assert corrected(default, text)[:2] == (text, 0)


@pytest.mark.parametrize(
    "words",
    [
        "colour colours coloured honourable favourite neighbourhood labour armour",
        "color colors colored honorable favorite neighborhood labor armor",
        "organise organised organising organisation analyse analysed realise",
        "organize organized organizing organization analyze analyzed realize",
        "centre centres theatre metre fibre",
        "center centers theater meter fiber",
        "travelling travelled traveller cancelled modelling fulfilment enrolment skilful",
        "traveling traveled traveler canceled modeling fulfillment enrollment skillful",
        "catalogue dialogue catalog dialog programme program defence defense licence license",
        "anaemia anemia foetus fetus judgement judgment likeable likable sulphur sulfur sceptic skeptic",
    ],
)
def test_british_and_american_spelling_are_both_right(default: object, words: str) -> None:
    text, count, rate = corrected(default, f"{PROSE}\n{words}")
    assert (text, count, rate) == (f"{PROSE}\n{words}", 0, 0.0)


def test_variants_go_both_ways() -> None:
    assert "colour" in spelling_variants("color")
    assert "color" in spelling_variants("colour")
    assert "because" not in spelling_variants("becuase")


def test_a_text_with_a_high_rate_or_few_words_is_measured_only(default: object) -> None:
    assert corrected(default, "It was definately late.")[:2] == ("It was definately late.", 0)
    strange = "Gestern wurden viele kleine Fenster geschlossen. " * 10 + "definately"
    text, count, rate = corrected(default, strange)
    assert (text, count) == (strange, 0)
    assert rate > 0.5


def test_measuring_gives_the_same_rate_and_leaves_the_text(default: object) -> None:
    text = f"{PROSE}Then definately came."
    measured = corrected(CorrectSpelling(mode="measure").build(), text)
    assert measured[:2] == (text, 0)
    assert measured[2] == corrected(default, text)[2] > 0


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("they agree wtih the plan", "they agree with the plan"),
        ("one of teh most beautiful towns", "one of the most beautiful towns"),
        ("we will mkae the best of it", "we will make the best of it"),
        ("they know waht it means", "they know what it means"),
    ],
)
def test_neighbours_decide_what_a_short_word_was_meant_to_be(default: object, wrong: str, right: str) -> None:
    assert corrected(default, f"{PROSE}Then {wrong}.")[:2] == (f"{PROSE}Then {right}.", 1)
    bare = wrong.split()[2] if "teh" in wrong else next(w for w in wrong.split() if w not in right.split())
    assert corrected(default, f"{PROSE}Then: {bare}.")[1] == 0
    long_only = CorrectSpelling(minimum_corrected_length=8).build()
    assert corrected(long_only, f"{PROSE}Then {wrong}.")[1] == 0


@pytest.mark.parametrize(
    "words",
    [
        "the influencers and the rockiest of the cosiest paths",  # derivations that no dictionary lists
        "centered aluminum behavioral specialty cozy",  # American
        "the definately operator, and definatelyness of it",  # two forms of one term
        "les définitions importantes dans une chambre definately élégante produits",  # a line of another language
    ],
)
def test_terms_variants_and_lines_of_another_language_stay(default: object, words: str) -> None:
    assert corrected(default, f"{PROSE}\n{words}")[:2] == (f"{PROSE}\n{words}", 0)


def test_annotate_is_measure() -> None:
    text = f"{PROSE}Then definately came."
    annotated = corrected(CorrectSpelling(mode="annotate").build(), text)
    assert annotated == corrected(CorrectSpelling(mode="measure").build(), text)
    assert annotated[2] > 0


def test_another_language_by_its_files(tmp_path: Path) -> None:
    words, pairs = tmp_path / "words.txt", tmp_path / "pairs.txt"
    listed = {"die": 9000, "mühle": 700, "mahlt": 600, "das": 8000, "mehl": 500, "für": 9000, "alle": 800, "mahl": 300}
    words.write_text("".join(f"{word} {count}\n" for word, count in listed.items()), "utf-8")
    pairs.write_text("das mehl 90\nmehl für 80\ndie mühle 70\n", "utf-8")
    prose = "die mühle mahlt das mehl für alle " * 5
    settings_ = {"language": "other", "dictionary": str(words), "maximum_rate": 1.0, "minimum_length": 3}
    stage = CorrectSpelling(**settings_, pairs=str(pairs))  # type: ignore[arg-type]
    assert stage.resources() == (str(words), str(pairs))
    assert corrected(stage.build(), f"{prose}und das mhel für alle")[0] == f"{prose}und das mehl für alle"
    assert corrected(stage.build(), f"{prose}die mhel")[1] == 0
    with pytest.raises(RecipeError, match="name its `dictionary`"):
        CorrectSpelling(language="other").build()
    with pytest.raises(RecipeError, match=r"pairs: there is no file"):
        CorrectSpelling(pairs=str(tmp_path / "none")).build()
    with pytest.raises(RecipeError, match="word word count"):
        CorrectSpelling(dictionary=str(words), pairs=str(words)).build()


def test_own_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(
        "".join(f"{word} {count}\n" for word, count in [("windmill", 900), ("watermill", 800), ("miller", 500)])
    )
    stage = CorrectSpelling(dictionary=str(path), maximum_rate=1)
    assert stage.resources() == (str(path),)
    text = "windmill watermill miller " * 7 + "windmil"
    *found, rate = corrected(stage.build(), text)
    assert found == ["windmill watermill miller " * 7 + "windmill", 1]
    assert rate == pytest.approx(1 / 22)
    assert CorrectSpelling().resources() == ()


def test_missing_dictionary_and_missing_extra_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="there is no file"):
        CorrectSpelling(dictionary=str(tmp_path / "none.txt")).build()
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(RecipeError, match="word count"):
        CorrectSpelling(dictionary=str(empty)).build()
    monkeypatch.setitem(sys.modules, "symspellpy", None)
    with pytest.raises(RecipeError, match=r"pip install 'corpusmill\[spelling\]'"):
        CorrectSpelling().build()


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_text_is_accepted(text: str) -> None:
    document = Document(text=text)
    _SHARED(document)
    assert document.text == text or document.signals["corrected"] > 0
    assert 0 <= document.signals["misspelling_rate"] <= 1


_SHARED = CorrectSpelling().build()


class Read(str):
    """A text that counts the characters that searches in it pass over."""

    __slots__ = ()

    read = 0

    def lower(self) -> Read:
        return Read(super().lower())

    def find(self, *arguments: Any) -> int:
        at = super().find(*arguments)
        Read.read += (at if at >= 0 else len(self)) - (arguments[1] if len(arguments) > 1 else 0) + 1
        return at

    def rfind(self, part: str, start: int, end: int) -> int:  # type: ignore[override]
        at = super().rfind(part, start, end)
        Read.read += end - max(at, start)
        return at

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        Read.read += len(found)
        return found


def many_slips(end: str) -> tuple[str, int]:
    """Return a text in which a word of each sentence lacks a letter, another one each time, and how many these are."""
    known = load_dictionary(None, None)
    letters = [word for word in sorted(known.common(20_000)) if len(word) > 8 and word.isascii() and word.isalpha()]
    slips = [f"{word[:4]}{word[5:]}" for word in letters]
    chosen = {slip[:4]: slip for slip in slips if slip not in known.words}
    return "".join(f"{PROSE}Then the {slip} came in.{end}" for slip in chosen.values()), len(chosen)


@pytest.mark.parametrize("end", [" ", "\n"])
def test_a_text_of_doubtful_words_is_passed_over_a_few_times(
    default: Any, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, slips = many_slips(end)
    assert slips > 500
    monkeypatch.setattr(Read, "read", 0)
    document = Document(text=Read(text))
    default(document)
    assert document.signals["corrected"] > slips // 4
    assert Read.read < 8 * len(text)


def test_many_words_are_looked_for_as_few_are(default: object, monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(7)
    slips = [
        "definately",
        "becuase",
        "teh",
        "goverment",
        "Definately",
        "tge",
        "(becuase)",
        "accross",
        "acc",
        "recieved",
        "x=",
    ]
    words = [*PROSE.split(), "\n", ". ", *slips]
    weights = [20] * (len(words) - len(slips)) + [1] * len(slips)
    texts = [" ".join(source.choices(words, weights, k=200)) for _ in range(300)]
    found = []
    for few in (0, 1_000_000):
        monkeypatch.setattr(correct_spelling, "_FEW", few)
        found.append([corrected(default, text) for text in [*texts, many_slips("\n")[0]]])
    assert found[0] == found[1]
    assert sum(count for _, count, _ in found[0][:-1]) > 100


@pytest.mark.parametrize("piece", ["a", "qwxzv ", "definately ", "a'", "\n", "{"])
def test_hostile_text_is_linear(default: object, piece: str) -> None:
    # A quadratic step would take hours here: the test would not end, rather than fail.
    text = piece * (200_000 // len(piece))
    assert corrected(default, text)[0] == text
