"""In which forms an item is looked for: as the cleaning of documents leaves it, and with its choices as pages print them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpusmill.stages import Decontaminate, NormalizeText
from support import prose

# Written for these tests: items of real evaluation sets in a public repository would leak them.
HENS = (
    "Maras hens lay fourteen eggs a day and she boils three of them for the children each morning and uses five for the "
    "cafés cakes"
)
KANA = "ﾒｱﾘｰの鶏は毎日十四個の卵を産みます。彼女は毎朝子供たちのために三つゆでます。"


def share(stage: Decontaminate, text: str) -> float:
    batch = pa.record_batch({"text": pa.array([text], pa.large_string())})
    found: float = stage.judge(batch)[0].column("signals.leaked_share")[0].as_py()
    return found


def item(stage: Decontaminate, text: str) -> str | None:
    batch = pa.record_batch({"text": pa.array([text], pa.large_string())})
    found: str | None = stage.judge(batch)[0].column("signals.leaked_item")[0].as_py()
    return found


def inserted(text: str, character: str) -> str:
    return "".join(letter + (character if letter in "lgr" else "") for letter in text)


DAMAGED = {
    "soft hyphens": inserted(HENS, "\u00ad"),
    "zero width spaces": inserted(HENS, "\u200b"),
    "word joiners": inserted(HENS, "\u2060"),
    "control characters": inserted(HENS, "\x08"),
    "entities": HENS.replace(" and", " &amp;nbsp;and").replace("é", "&eacute;").replace(" a day", "&nbsp;a day"),
    "mojibake": HENS.replace("é", "Ã©"),
    "terminal escapes": HENS.replace("hens", "\x1b[1mhens\x1b[0m"),
    "byte order mark": "\ufeff" + HENS,
    "line separators": HENS.replace(" ", "\u2028", 3),
    "decomposed": HENS.replace("é", "e\u0301"),
    "full width": "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in HENS),
    "half-width kana": KANA,
    "ligatures": HENS.replace("fi", "ﬁ").replace("fo", "ﬀo"),
}


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    def written(*records: Any, **settings: Any) -> Decontaminate:
        path = tmp_path / "set.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        return Decontaminate(references=str(path), **settings)

    return written


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("form", ["NFC", "NFKC", None])
def test_a_copy_is_found_whatever_cleaning_made_of_it(stage: Any, damage: str, form: Any) -> None:
    page = f"{prose(1, 40)}\n\n{DAMAGED[damage]}\n\n{prose(2, 40)}"
    if form:
        batch = pa.record_batch({"id": ["a"], "text": pa.array([page], pa.large_string())})
        page = NormalizeText(unicode_form=form).judge(batch)[0].column("text")[0].as_py()
    assert share(stage({"q": DAMAGED[damage]}), page) == 1.0


@pytest.mark.parametrize("damage", ["soft hyphens", "control characters", "entities", "mojibake", "full width"])
def test_exceptions_are_cleaned_too(stage: Any, tmp_path: Path, damage: str) -> None:
    exception = tmp_path / "exceptions.jsonl"
    exception.write_text(json.dumps({"text": DAMAGED[damage]}))
    clean = DAMAGED[damage] if damage == "full width" else HENS
    records = ({"q": clean}, {"q": prose(7, 30)})
    assert share(stage(*records), clean) == 1.0
    assert share(stage(*records, exceptions=(str(exception),)), clean) == 0.0


def test_entities_stay_where_a_page_shows_markup(stage: Any) -> None:
    damaged = inserted(DAMAGED["entities"], "\u00ad")
    batch = pa.record_batch({"id": ["a"], "text": pa.array([f"{damaged}\n<b>{prose(1)}"], pa.large_string())})
    page = NormalizeText().judge(batch)[0].column("text")[0].as_py()
    assert "&eacute;" in page
    assert share(stage({"q": damaged}), page) == 1.0


def test_a_short_item_is_cleaned_before_it_is_put_together(stage: Any) -> None:
    record = {"question": "What is the cap\u00adi\u00adtal of France?", "choices": ["Lon\u200bdon", "Paris", "Rome"]}
    found = stage(record, {"q": HENS})
    assert item(found, "What is the capital of France? A) London B) Paris C) Rome") == "set.jsonl#0"
    assert item(found, "What is the cap\u00adi\u00adtal of France? A) Lon\u200bdon B) Paris C) Rome") == "set.jsonl#0"


QUESTION = "What is the capital of France?"
LONG = "Paris has been the seat of the state for most of the time since the tenth century and lies on the Seine"
LETTERED = f"Quiz!\n{QUESTION}\n(A) London\n(B) Paris\n(C) Rome\n(D) Berlin\n"
BARE = f"Quiz! {QUESTION} London, Paris, Rome, Berlin."
CITIES = ["London", "Paris", "Rome", "Berlin"]


@pytest.mark.parametrize(
    "record",
    [
        {"question": QUESTION, "choices": CITIES},
        {"question": QUESTION, "choices": CITIES, "support": LONG},
        {"exp": LONG, "question": QUESTION, "opa": "London", "opb": "Paris", "opc": "Rome", "opd": "Berlin", "cop": 2},
        {"question": QUESTION, "options": CITIES, "rationale": LONG, "correct": "B"},
        {"question": QUESTION, "choices": CITIES, "hint": "", "lecture": LONG, "solution": LONG, "skill": "Name it"},
        {"question": QUESTION, "subject": "high_school_european_history", "choices": CITIES, "answer": 1},
        {"question": QUESTION, "choices": CITIES, "hint": "It lies on the Seine"},
        {"category": "capitals of the world", "question": QUESTION, "choices": CITIES},
        {"choices": CITIES, "answer": "Paris", "question": QUESTION},
        {"tags": ["geography", "easy"], "question": QUESTION, "choices": CITIES},
        {"question": QUESTION, "A": "London", "B": "Paris", "C": "Rome", "D": "Berlin", "answer": "B"},
        {"question": QUESTION, "option_a": "London", "option_b": "Paris", "option_c": "Rome", "option_d": "Berlin"},
        {"question": QUESTION, "choice2": "Paris", "choice1": "London", "choice3": "Rome", "choice4": "Berlin"},
        {"ans0": "London", "ans1": "Paris", "ans2": "Rome", "ans3": "Berlin", "question": QUESTION},
        {"question": QUESTION, "options": {"A": "London", "B": "Paris", "C": "Rome", "D": "Berlin"}},
        {"question": {"stem": QUESTION, "choices": [{"label": "ABCD"[n], "text": CITIES[n]} for n in range(4)]}},
        {"input": QUESTION, "target_scores": dict.fromkeys(CITIES, 0)},
        {"question": QUESTION, "choices": [*CITIES, None]},
        {"frage": QUESTION, "antworten": CITIES, "erklaerung": LONG},
    ],
    ids=lambda record: "-".join(record),
)
def test_a_short_question_is_found_with_its_choices_whatever_the_columns(stage: Any, record: Any) -> None:
    found = stage(record, {"q": HENS})
    assert [item(found, page) for page in (LETTERED, BARE)] == ["set.jsonl#0"] * 2
    assert item(found, f"{QUESTION} It is Paris, not London and neither Rome nor Berlin.") is None


def test_of_three_words_with_a_subject_of_four(stage: Any) -> None:
    record = {"question": "Tudor capital city?", "subject": "high_school_european_history", "choices": CITIES}
    assert item(stage(record, {"q": HENS}), "Tudor capital city?\nA. London\nB. Paris\nC. Rome\nD. Berlin") is not None


def test_fields_that_are_named_are_put_together_too(stage: Any) -> None:
    record = {"question": QUESTION, "opa": "London", "opb": "Paris", "opc": "Rome", "opd": "Berlin", "exp": LONG}
    found = stage(record, {"question": HENS}, fields=("question", "opa", "opb", "opc", "opd"))
    assert [item(found, page) for page in (LETTERED, BARE, LONG)] == ["set.jsonl#0", "set.jsonl#0", None]


@pytest.mark.parametrize(
    "choices",
    [{"choices": [40, 48.5, 54, 60]}, {"A": 40, "B": 48.5, "C": 54, "D": 60}, {"choices": [40, "48.5", None, 54, 60]}],
)
def test_numbers_are_choices(stage: Any, choices: Any) -> None:
    found = stage({"question": "How many legs do six spiders have in all?", **choices}, {"q": HENS})
    last = "D. 54 E. 60" if None in choices.get("choices", []) else "C. 54 D. 60"
    assert share(found, f"How many legs do six spiders have in all? A. 40 B. 48.5 {last}") == 1.0


def test_vectors_are_no_text(stage: Any) -> None:
    found = stage({"q": HENS, "vector": [0.5] * 100})
    assert found.index().ngrams == stage({"q": HENS}).index().ngrams


def test_texts_without_choices_are_put_together_without_tags(stage: Any) -> None:
    record = {"topic": "world history", "premise": "The first king built a castle", "hypothesis": "He was no poor man"}
    assert item(stage(record, {"q": HENS}), "The first king built a castle. He was no poor man.") == "set.jsonl#0"
