from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, InvalidTextError, RecipeError
from corpusmill.stages import correct_spelling, unlisted_words
from corpusmill.stages.automaton import found_in
from corpusmill.stages.base import Apply
from corpusmill.stages.correct_spelling import CorrectSpelling, spelling_variants
from corpusmill.stages.english_words import VARIANT_PATTERNS, is_derived
from corpusmill.stages.spelling_dictionary import load_dictionary
from corpusmill.stages.text_buffers import text_buffers
from corpusmill.stages.unlisted_words import UnlistedWords

PROSE = (
    "Although several neighbours complained about the noise, everyone watched the football match until midnight, while my"
    " brother cooked dinner and nobody noticed that the kitchen window stayed open through the whole evening outside. "
)


def by_batches(stage: CorrectSpelling) -> Apply:
    """Return the stage as it runs in a pipeline, for one document at a time."""
    run = stage.open()

    def apply(document: Document) -> Document:
        out, verdicts = run(pa.record_batch({"text": pa.array([document.text], pa.large_string())}))
        assert verdicts.to_pylist() == [None]
        document.text = out["text"][0].as_py()
        document.signals = {name: out[f"signals.{name}"][0].as_py() for name in CorrectSpelling.signals}
        return document

    return apply


@pytest.fixture(scope="module", params=["strings", "batches"])
def default(request: pytest.FixtureRequest) -> object:
    return CorrectSpelling().build() if request.param == "strings" else by_batches(CorrectSpelling())


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
    assert measured[2] > 0
    assert corrected(default, text)[2] == pytest.approx(measured[2])


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
def test_a_text_of_doubtful_words_is_passed_over_a_few_times(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, slips = many_slips(end)
    assert slips > 500
    monkeypatch.setattr(Read, "read", 0)
    document = Document(text=Read(text))
    _SHARED(document)
    assert document.signals["corrected"] > slips // 4
    assert Read.read < 8 * len(text)


def test_many_words_are_looked_for_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
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
        found.append([corrected(_SHARED, text) for text in [*texts, many_slips("\n")[0]]])
    assert found[0] == found[1]
    assert sum(count for _, count, _ in found[0][:-1]) > 100


@pytest.mark.parametrize("piece", ["a", "qwxzv ", "definately ", "a'", "\n", "{"])
def test_hostile_text_is_linear(default: object, piece: str) -> None:
    # A quadratic step would take hours here: the test would not end, rather than fail.
    text = piece * (200_000 // len(piece))
    assert corrected(default, text)[0] == text


_SLIPS = "definately becuase teh wtih recieved goverment tge accross qwxzv shoppin struct"
_DERIVED = "rewatchable influencers rockiest bloglike carmaker colourful ischaemic skeptics ers iness counterx"
_OTHERS = "été straße über definatelyé İx ǆ ſo ªb x² a_b x́y (sic) [sic] (sick) (sic 's .com :a .a // : :: 7 \x00"
PIECES = [
    *f"{PROSE} {_SLIPS} {_DERIVED} {_OTHERS}".split(" "),
    *".,;'’\"“”-/:@#([{}<>|\\=_\n\t\u2028",
    "\r\n",
    "a" * 32,
    "a" * 33,
    "(sic",
]


def same_both_ways(stage: CorrectSpelling, texts: list[str | None], rows: int = 50) -> int:
    """Compare batches with strings, and return how many words were corrected."""
    apply, run = stage.build(), stage.open()
    total = 0
    for first in range(0, len(texts), rows):
        some = texts[first : first + rows]
        out, _ = run(pa.record_batch({"text": pa.array(some, pa.large_string())}))
        documents = [Document(text=text or "") for text in some]
        for document in documents:
            apply(document)
        assert out["text"].to_pylist() == [document.text for document in documents]
        rates = [np.float32(document.signals["misspelling_rate"]) for document in documents]
        assert out["signals.misspelling_rate"].to_pylist() == rates
        counts = [document.signals["corrected"] for document in documents]
        assert out["signals.corrected"].to_pylist() == counts
        total += sum(counts)
    return total


@pytest.mark.parametrize(
    "settings_",
    [
        {},
        {"mode": "annotate", "minimum_length": 3},
        {"maximum_rate": 1.0, "minimum_corrected_length": 6, "common_words": 500},
    ],
)
def test_batches_come_out_as_strings_do(settings_: dict[str, Any]) -> None:
    source = random.Random(11)
    texts: list[str | None] = [None, "", "\n"]
    weights = [40] * len(PROSE.split()) + [1] * (len(PIECES) - len(PROSE.split()))
    for _ in range(400):
        pieces = source.choices(PIECES, weights, k=100)
        texts.append(PROSE + "".join(piece + " " * (source.random() < 0.95) for piece in pieces))
    assert (same_both_ways(CorrectSpelling(**settings_), texts) > 0) == (settings_.get("mode") != "annotate")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=30).map(" ".join), min_size=1, max_size=3)
)
def test_any_batch_comes_out_as_strings_do(texts: list[str]) -> None:
    out, _ = _BATCHES(
        pa.record_batch({"text": pa.array([t.encode("utf-8", "replace") for t in texts]).cast(pa.large_string())})
    )
    for row, text in enumerate(out["text"].to_pylist()):
        document = Document(text=texts[row].encode("utf-8", "replace").decode())
        _SHARED(document)
        assert text == document.text
        assert out["signals.misspelling_rate"][row].as_py() == np.float32(document.signals["misspelling_rate"])


_BATCHES = CorrectSpelling().open()


def changed_words(count: int) -> list[str]:
    """Return words of the dictionary with what makes other words of them, and with a letter changed."""
    source = random.Random(5)
    listed = [
        word for word in load_dictionary(None, None).words if word.isascii() and word.isalpha() and len(word) < 14
    ]
    affixes = ["", "", "un", "re", "counter", "able", "ness", "er", "iest", "ers", "ism", "less", "ied"]
    words = []
    for _ in range(count):
        word = source.choice(listed)
        at = source.randrange(len(word))
        ways = (
            word + source.choice(affixes),
            source.choice(affixes) + word,
            word + source.choice(listed),
            word[:at] + source.choice("aeiourslz") + word[at + 1 :],
            word.replace("e", source.choice(("ae", "oe")), 1),
            word.replace("s", "z"),
            word.replace("or", "our"),
            word[:at] + word[at + 1 :],
        )
        words.append(source.choice(ways))
    return words


def test_what_tables_rule_out_is_not_derived_and_has_no_common_neighbour() -> None:
    dictionary = load_dictionary(None, None)
    common = dictionary.common(20_000)
    asked: list[str] = []

    def derived(word: str) -> bool:
        asked.append(word)
        return is_derived(word, dictionary.words, common)

    form = unlisted_words.WordForm("a-z", r"\w", r"\w", "{", 3, 32, 5)
    finder = UnlistedWords(form, dictionary.words, common, derived)
    words = sorted({word for word in changed_words(4000) if word not in dictionary.words and 3 <= len(word) <= 32})
    texts = text_buffers(pa.array(words, pa.large_string()))
    unknown = set(finder.find(texts).rows.tolist())
    assert unknown == {row for row, word in enumerate(words) if not is_derived(word, dictionary.words, common)}
    assert 500 < len(unknown) < len(words) - 500
    assert len(asked) < len(words)
    again = set(finder.find(texts).rows.tolist())
    assert again == unknown
    near = {word: min((found.rank for found in dictionary.near(word)), default=20_000) < 20_000 for word in words[::8]}
    assert {word: finder.may_be_near(word) for word in near} == near
    assert 20 < sum(near.values()) < len(near) - 20


def test_variants_are_found_by_the_automaton_where_the_patterns_find_them() -> None:
    words = changed_words(4000)
    patterns = [re.compile(pattern) for pattern in VARIANT_PATTERNS]
    found = found_in(text_buffers(pa.array(words, pa.large_string())), unlisted_words._variants())
    assert found.tolist() == [any(pattern.search(word) for pattern in patterns) for word in words]
    plain = {word: {v for v in spelling_variants(word) if "ae" not in v and "oe" not in v} for word in words}
    assert all(has or not plain[word] for word, has in zip(words, found.tolist(), strict=True))
    assert 500 < found.sum() < 3500


def test_what_was_learned_may_be_forgotten_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlisted_words, "_LEARNED", 40)
    source = random.Random(2)
    words = [*changed_words(3000), *PROSE.split() * 200]
    assert same_both_ways(CorrectSpelling(), [" ".join(source.choices(words, k=60)) for _ in range(200)], rows=7) >= 0


def test_batches_with_letters_of_another_language(tmp_path: Path) -> None:
    words, pairs = tmp_path / "words.txt", tmp_path / "pairs.txt"
    listed = {"die": 9000, "mühle": 700, "mahlt": 600, "das": 8000, "mehl": 500, "für": 9000, "alle": 800, "grün": 300}
    words.write_text("".join(f"{word} {count}\n" for word, count in listed.items()), "utf-8")
    pairs.write_text("das mehl 90\nmehl für 80\ndie mühle 70\n", "utf-8")
    stage = CorrectSpelling(
        language="other", dictionary=str(words), pairs=str(pairs), maximum_rate=1.0, minimum_length=3
    )
    source = random.Random(3)
    pieces = [*listed, *listed, "mhel", "mülhe", "grnü", "éa", "füré", "“das”", "(für", "\n", "x", "//", "ß"]
    texts: list[str | None] = [" ".join(source.choices(pieces, k=40)) for _ in range(300)]
    assert same_both_ways(stage, texts) > 20
    with pytest.raises(RecipeError, match="has no column 'text'"):
        stage(pa.record_batch({"words": ["a"]}))


def test_a_letter_that_only_rare_words_have_is_taken_for_one_of_common_words(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    listed = {"defence": 9000, "the": 9999, "water": 7000, "only": 6000, "plain": 4500, "café": 3, "grün": 2}
    words.write_text("".join(f"{word} {count}\n" for word, count in listed.items()), "utf-8")
    stage = CorrectSpelling(language="other", dictionary=str(words), common_words=5, maximum_rate=1.0)
    prose = "the water only plain " * 12
    misspelled = ["défence", "ééééé", "wüter", "plaiün", "d" + "é" * 31, "ü" * 32]
    assert same_both_ways(stage, [f"{prose}{word} the water" for word in misspelled]) == 3


def test_a_text_that_is_no_utf8_is_refused_only_where_a_string_is_made_of_it() -> None:
    broken = pa.array(
        [b"ab\xff definately \xe2\x82", f"{PROSE}Then definately \xff".encode("latin-1")], pa.large_binary()
    )
    first, second = broken.slice(0, 1).view(pa.large_string()), broken.slice(1).view(pa.large_string())
    out, _ = _BATCHES(pa.record_batch({"text": first}))
    assert out["text"].view(pa.large_binary()).equals(broken.slice(0, 1))
    with pytest.raises(InvalidTextError):
        _BATCHES(pa.record_batch({"text": second}))
