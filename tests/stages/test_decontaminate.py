"""Test-set leakage: what is found and what is not, what is named, what is cut; kernels against plain Python."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_decontamination import PlainIndex, letter_tenths, sized_words

from corpusmill.schemas import RecipeError
from corpusmill.stages import Decontaminate
from corpusmill.stages.decontaminate import cut
from corpusmill.stages.evaluation_index import EvaluationIndex
from corpusmill.stages.evaluation_passages import NgramRules
from corpusmill.stages.references import ReferenceItem, read_items
from support import prose

# Written for these tests: items of real evaluation sets in a public repository would leak them.
HENS = (
    "Mara’s hens lay 14 eggs a day. She boils three of them for the children each morning and uses five for the cakes that she "
    "bakes on weekdays. The rest she sells at the village shop for 0.30 euros an egg. How many euros does she take in on one "
    "weekday if nothing breaks on the way?"
)
FILLER = " ".join(f"filler{number}" for number in range(300))
Writer = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def writing(*records: Any, name: str = "set.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
        return str(path)

    return writing


def judged(stage: Decontaminate, *texts: str | None) -> list[dict[str, Any]]:
    """One row a text: what it is now, its signals, and its verdict."""
    batch = pa.record_batch({"id": [str(at) for at in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    out, verdicts = stage.judge(batch)
    rows = [{name.removeprefix("signals."): value for name, value in row.items()} for row in out.to_pylist()]
    return [{**row, "drop": verdict} for row, verdict in zip(rows, verdicts.to_pylist(), strict=True)]


def is_found(stage: Decontaminate, text: str) -> bool:
    return judged(stage, text)[0]["leaked_item"] is not None


def test_a_copy_is_dropped_and_the_item_named(write: Writer) -> None:
    stage = Decontaminate(references=write({"id": "hens", "question": HENS}, {"question": FILLER}))
    found, clean = judged(stage, f"{FILLER[:200]} {HENS} and so on", "nothing of the kind " * 20)
    assert found["drop"] == {"reason": "contaminated", "value": 1.0, "limit": 0.0, "ref": "set.jsonl#hens"}
    assert (found["leaked_share"], found["leaked_item"]) == (1.0, "set.jsonl#hens")
    assert (clean["drop"], clean["leaked_ngrams"], clean["leaked_share"], clean["leaked_item"]) == (None, 0, 0.0, None)


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t.replace(" ", "\n\n"), lambda t: f"**{t.replace(' ', '_ *')}**"]
)
def test_case_spacing_and_markup_hide_nothing(write: Writer, change: Callable[[str], str]) -> None:
    (row,) = judged(Decontaminate(references=write({"q": HENS})), change(HENS))
    assert row["leaked_share"] == 1.0


def test_thirteen_words_in_a_row_are_enough_and_twelve_are_not(write: Writer) -> None:
    words = HENS.split()
    stage = Decontaminate(references=write({"q": " ".join(words[:13]) + " " + FILLER}))
    thirteen = "before " + " ".join(words[:12]) + " after"  # "Mara’s" is two words
    assert is_found(stage, thirteen)
    assert not is_found(stage, "before " + " ".join(words[:11]) + " after")
    assert is_found(
        Decontaminate(references=stage.references, ngram_words=12), "before " + " ".join(words[:11]) + " after"
    )
    for text in ("", " ", words[0], " ".join(words[:11])):
        assert not is_found(stage, text)
    assert is_found(stage, " ".join(words[:12]))  # from the first word to the last
    assert is_found(Decontaminate(references=stage.references, ngram_words=5), " ".join(words[:4]))


def test_numbers_and_order_matter(write: Writer) -> None:
    stage = Decontaminate(
        references=write({"q": "A train of 12 cars with 34 seats each leaves with 56 people. How many seats?"})
    )
    assert is_found(stage, "a train of 12 cars with 34 seats each leaves with 56 people. How many seats?")
    assert not is_found(stage, "a train of 13 cars with 35 seats each leaves with 57 people. How many seats?")
    assert not is_found(stage, "How many seats? A train with 34 seats leaves each of 12 cars, 56 people with")


def test_share_decides_only_from_the_limit_on(write: Writer) -> None:
    words = [f"w{number}" for number in range(40)]
    stage = Decontaminate(references=write({"q": " ".join(words)}), minimum_share=0.5)
    half, less = judged(stage, " ".join(words[:20]), " ".join(words[:19]))
    assert half["drop"] == {"reason": "contaminated", "value": 0.5, "limit": 0.5, "ref": "set.jsonl#0"}
    assert less["drop"] is None
    assert less["leaked_share"] == pytest.approx(19 / 40)  # measured all the same
    assert (half["leaked_ngrams"], less["leaked_ngrams"]) == (8, 7)


def test_a_question_without_its_answer_and_an_answer_without_its_question_count(write: Writer) -> None:
    stage = Decontaminate(references=write({"question": HENS, "answer": FILLER}))
    assert [row["leaked_share"] for row in judged(stage, HENS, FILLER)] == [1.0, 1.0]
    only = Decontaminate(references=stage.references, fields=("question",))
    assert [row["leaked_share"] for row in judged(only, HENS, FILLER)] == [1.0, 0.0]


def test_the_best_item_is_named(write: Writer) -> None:
    words = [f"w{number}" for number in range(40)]
    stage = Decontaminate(
        references=write({"q": " ".join(words)}, {"q": " ".join(words[:20] + words[:5])}, {"q": FILLER})
    )
    assert judged(stage, " ".join(words[:20]))[0]["leaked_item"] == "set.jsonl#1"
    assert judged(stage, " ".join(words))[0]["leaked_item"] == "set.jsonl#0"


def test_short_texts_are_found_as_a_whole(write: Writer) -> None:
    eight = "which gas do plants take from the air"
    stage = Decontaminate(references=write({"q": eight}, {"q": "too short a text for that"}, {"q": HENS}))
    assert is_found(stage, f"quiz 7) Which gas do plants take from the AIR? {FILLER}")
    assert not is_found(stage, "which gas do plants take from the soil")
    assert not is_found(stage, "too short a text for that")
    assert is_found(Decontaminate(references=stage.references, minimum_words=6), "too short a text for that")
    assert not is_found(Decontaminate(references=stage.references, minimum_words=None), eight)


FRANCE = {
    "question": "What is the capital of France?",
    "subject": "capitals",
    "choices": ["London", "Paris", "Rome", "Berlin"],
}


@pytest.mark.parametrize(
    "page",
    [
        "What is the capital of France?\nA. London\nB. Paris\nC. Rome\nD. Berlin",
        "what is the capital of FRANCE (a) London (b) Paris (c) Rome (d) Berlin",
        "What is the capital of France? 1) London 2) Paris 3) Rome 4) Berlin",
        "- What is the capital of France?\n  - London\n  - Paris\n  - Rome\n  - Berlin",
    ],
)
@pytest.mark.parametrize("labels", [["A", "B", "C", "D"], None])
def test_a_short_question_is_found_with_its_choices(write: Writer, page: str, labels: list[str] | None) -> None:
    record = (
        FRANCE if labels is None else {**FRANCE, "choices": {"label": labels, "text": FRANCE["choices"]}, "key": "B"}
    )
    stage = Decontaminate(references=write(record, {"q": HENS}))
    assert is_found(stage, f"{FILLER} {page} {FILLER}")
    assert not is_found(stage, "What is the capital of France? It is Paris, not London and neither Rome nor Berlin.")


def test_common_ngrams_are_not_looked_for(write: Writer) -> None:
    template = "Construct a complete truth table for the following argument and then say whether it is valid or not:"
    records = [
        {"q": f"{template} premise{n} and many other words that only this item has, number{n} is one of them"}
        for n in range(12)
    ]
    stage = Decontaminate(references=write(*records))
    assert not is_found(stage, f"{FILLER} {template} {FILLER}")
    (row,) = judged(stage, records[3]["q"])
    assert (row["leaked_share"], row["leaked_item"]) == (1.0, "set.jsonl#3")  # the template counts on neither side
    assert is_found(Decontaminate(references=stage.references, maximum_items=12), template)
    assert is_found(Decontaminate(references=stage.references, maximum_items=None), template)


def test_copies_of_an_item_do_not_make_it_common(write: Writer) -> None:
    files = tuple(write(*[{"q": HENS, "n": n} for n in range(20)], name=f"{name}.jsonl") for name in "ab")
    stage = Decontaminate(references=files)
    assert judged(stage, HENS)[0]["leaked_item"] == "a.jsonl#0"  # in several files: the first
    assert [(file.name, file.items, file.duplicates) for file in stage.index().files] == [
        ("a.jsonl", 20, 19),
        ("b.jsonl", 20, 19),
    ]


def test_common_is_counted_by_file(write: Writer) -> None:
    template = "Construct a complete truth table for the following argument and then say whether it is valid:"
    files = [write(*[{"q": f"{template} {name}{n}"} for n in range(8)], name=f"{name}.jsonl") for name in "ab"]
    assert is_found(Decontaminate(references=tuple(files)), template)
    assert not is_found(Decontaminate(references=tuple(files), maximum_items=7), template)


def test_the_same_passage_of_many_questions_is_common(write: Writer) -> None:
    records = [
        {"passage": HENS, "question": f"What does sentence number {n} of this passage tell {n} times {n}?"}
        for n in range(11)
    ]
    assert not is_found(Decontaminate(references=write(*records)), HENS)
    assert is_found(Decontaminate(references=write(*records[:10])), HENS)
    assert is_found(Decontaminate(references=write(*records)), records[5]["question"])


def test_a_short_text_of_two_items_names_neither(write: Writer) -> None:
    question = "which one of the following statements is correct"
    one, two = ({"q": question, "choices": [f"x{n}{i} is y{n}{i}" for i in range(4)]} for n in (1, 2))
    assert is_found(Decontaminate(references=write(one, {"q": HENS})), question)
    stage = Decontaminate(references=write(one, two))
    assert not is_found(stage, question)
    assert is_found(
        stage, f"{question} a) {' b) '.join(one['choices'][:1])} b) {one['choices'][1]} c) {one['choices'][2]}"
    )


def test_exceptions_may_be_quoted(write: Writer, tmp_path: Path) -> None:
    speech = (
        "Four score and seven years ago our fathers brought forth on this continent a new nation conceived in liberty"
    )
    reference = write({"q": f"Which speech begins: {speech}? Name the speaker and the year in which he held it."})
    (tmp_path / "speeches.txt").write_text(f"{speech}, and dedicated to the proposition")
    assert is_found(Decontaminate(references=reference), speech)
    stage = Decontaminate(references=reference, exceptions=(str(tmp_path / "speeches.txt"),))
    assert not is_found(stage, speech)
    assert is_found(stage, "in liberty? Name the speaker and the year in which he held it.")
    assert stage.resources() == (reference, str(tmp_path / "speeches.txt"))


CHINESE = "水车磨坊建于一八七〇年，至今仍在为全村的居民磨制面粉和玉米。"
THAI = "โรงสีริมแม่น้ำแห่งนี้สร้างขึ้นในสมัยสะพานเก่าและยังคงบดแป้งให้หมู่บ้านจนถึงทุกวันนี้โดยไม่เคยหยุดเลย"


@pytest.mark.parametrize(("text", "ngram"), [(CHINESE, 26), (THAI, 65)])
def test_scripts_without_spaces_need_as_much_text_as_others(write: Writer, text: str, ngram: int) -> None:
    stage = Decontaminate(references=write({"q": text}), minimum_words=None)
    letters = [word for word, _ in sized_words(text)]
    assert len(letters) > ngram
    assert is_found(stage, f"前言{text}后记")
    assert is_found(stage, "".join(letters[:ngram]))
    assert not is_found(stage, "".join(letters[: ngram - 1]))
    assert is_found(stage, " ".join(letters[:ngram]))  # spaces do not hide it


def test_short_texts_without_spaces(write: Writer) -> None:
    stage = Decontaminate(references=write({"q": "下列哪一项是植物从空气中吸收的气体？"}, {"q": "太短的题目"}))
    assert is_found(stage, "第七题：下列哪一项是植物从空气中吸收的气体？甲、氧气")
    assert not is_found(stage, "太短的题目")


@pytest.mark.parametrize("letter", "水かカㄅꀀ㐀กກကកᦀᬅꦐ𑜀")
def test_what_a_letter_counts(letter: str) -> None:
    from corpusmill.stages.kernels.ngrams import _letter_tenths

    assert sized_words(letter) == [(letter, letter_tenths(letter))]
    assert _letter_tenths(np.uint64(ord(letter))) == letter_tenths(letter)


def test_references_are_compared_in_composed_form(write: Writer) -> None:
    composed = "Où se trouve la forêt où Élise a été élevée près de la rivière, à côté de l’église ?"
    decomposed = composed.replace("é", "e\u0301").replace("ê", "e\u0302").replace("ù", "u\u0300")
    assert is_found(Decontaminate(references=write({"q": decomposed})), composed)


def test_gaps_in_questions_are_of_any_length(write: Writer) -> None:
    stage = Decontaminate(
        references=write({"q": "The ____ of a cell is where its ___ are made, while the _ gives it energy to live."})
    )
    assert is_found(
        stage, r"The \_\_ of a cell is where its __________ are made, while the _____ gives it energy to live."
    )


def test_trimming_cuts_the_match_and_its_margin(write: Writer) -> None:
    stage = Decontaminate(references=write({"q": HENS}), action="trim", margin=20, minimum_piece=10)
    before, after = "word " * 30, "text " * 30
    (row,) = judged(stage, f"{before}{HENS} {after}")
    assert row["drop"] is None
    assert row["text"] == f"{('word ' * 26).strip()}\n\n{('text ' * 26).strip()}"
    assert (row["leaked_share"], row["leaked_item"]) == (1.0, "set.jsonl#0")
    (row,) = judged(stage, f"{HENS} {after}")  # at the very start
    assert row["text"] == ("text " * 26).strip()
    (row,) = judged(stage, "nothing to cut")
    assert (row["text"], row["drop"]) == ("nothing to cut", None)


def test_trimming_drops_what_is_cut_to_pieces_or_to_nothing(write: Writer) -> None:
    stage = Decontaminate(references=write({"q": HENS}), action="trim", maximum_cuts=3)
    piece = f"{FILLER} {HENS} "
    rows = judged(stage, piece * 3 + FILLER, piece * 4, HENS, f"{FILLER[:300]} {HENS} {FILLER[:300]}")
    assert [row["drop"] and row["drop"]["reason"] for row in rows] == [
        None,
        "too_many_cuts",
        "nothing_left",
        "nothing_left",
    ]
    assert rows[1]["drop"] == {"reason": "too_many_cuts", "value": 4.0, "limit": 3.0, "ref": "set.jsonl#0"}
    assert rows[2]["drop"]["limit"] == 200.0


def test_what_is_trimmed_does_not_match_again(write: Writer) -> None:
    words = [f"w{number}" for number in range(60)]
    reference = write({"q": " ".join(words)}, {"q": HENS})
    stage = Decontaminate(references=reference, action="trim", margin=0, minimum_piece=1)
    (row,) = judged(stage, f"{' '.join(words[:12])} {HENS} {' '.join(words[12:24])} end")
    assert row["drop"] is None
    assert row["text"] == "end"
    assert not is_found(stage, row["text"])


def test_trimming_spares_what_is_not_covered_enough(write: Writer) -> None:
    words = [f"w{number}" for number in range(60)]
    stage = Decontaminate(
        references=write({"q": " ".join(words)}, {"q": HENS}),
        action="trim",
        minimum_share=0.5,
        margin=0,
        minimum_piece=1,
    )
    (row,) = judged(stage, f"{' '.join(words[:13])} {HENS} end")
    assert row["text"] == f"{' '.join(words[:13])}\n\nend"
    (row,) = judged(stage, " ".join(words[:13]))
    assert (row["drop"], row["text"], row["leaked_item"]) == (None, " ".join(words[:13]), "set.jsonl#0")


def test_measuring_drops_nothing(write: Writer) -> None:
    stage = Decontaminate(references=write({"q": HENS}), action="measure")
    (row,) = judged(stage, HENS)
    assert (row["drop"], row["text"], row["leaked_item"]) == (None, HENS, "set.jsonl#0")
    assert (stage.rewrites, Decontaminate(references="x", action="trim").rewrites) == ((), ("text",))


def test_of_two_stages_the_greater_share_is_kept(write: Writer) -> None:
    words = [f"w{number}" for number in range(40)]
    half = Decontaminate(references=write({"q": " ".join(words)}, name="half.jsonl"), action="measure")
    whole = Decontaminate(references=write({"q": " ".join(words[:20])}, name="whole.jsonl"), action="measure")
    table = pa.table({"text": [" ".join(words[:20]), "nothing " * 20]})
    for stages in ((half, whole), (whole, half)):
        out = table
        for stage in stages:
            out, _ = stage.judge(out)
        assert out.column("signals.leaked_item").to_pylist() == ["whole.jsonl#0", None]
        assert out.column("signals.leaked_share").to_pylist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "secret", "margin", "expected"),
    [
        ("aa bb cc dd ee", "cc", 0, "aa bb\n\ndd ee"),
        ("aa bb cc dd ee", "cc", 1, "aa bb\n\ndd ee"),
        ("aa bb cc dd ee", "cc", 2, "aa\n\nee"),
        ("aa (cc) bb", "cc", 0, "aa\n\nbb"),
        ("é水 cc 水é", "cc", 0, "é水\n\n水é"),
        ("cc", "cc", 5, ""),
        ("ก" * 60 + "กิ" + "cc" + "กิ" * 60, "cc", 1, "ก" * 60 + "\n\n" + "กิ" * 59),
    ],
)
def test_cutting(text: str, secret: str, margin: int, expected: str) -> None:
    begin = len(text[: text.index(secret)].encode())
    assert cut(text, [(begin, begin + len(secret.encode()))], margin, 1) == (expected, 1)


def test_close_cuts_are_one() -> None:
    assert cut("aa bb cc dd ee ff gg", [(3, 5), (12, 14)], 3, 1) == ("gg", 1)
    assert cut("aa bb cc dd ee ff gg", [(3, 5), (12, 14)], 0, 1) == ("aa\n\ncc dd\n\nff gg", 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"references": []},
            'decontaminate.references: name at least one evaluation set, such as references = \\["evals',
        ),
        ({"references": ""}, "decontaminate.references: name at least one"),
        ({"references": 3}, "decontaminate.references: Expected"),
        ({"references": "x", "ngram_words": 51}, "decontaminate.ngram_words: Expected `int` <= 50"),
        ({"references": "x", "action": "trimm"}, "did you mean 'trim'"),
    ],
)
def test_settings_are_validated(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Decontaminate(**given)


@pytest.mark.parametrize(
    ("records", "given", "message"),
    [
        ([{"question": HENS}], {"fields": ("qestion",)}, "has none of the fields 'qestion'; did you mean 'question'"),
        ([{"question": HENS}], {"fields": ("question", "anwser")}, "no reference has the field 'anwser'"),
        ([], {}, "set.jsonl has no text"),
        ([{"a": 1}, {"id": "3"}], {}, "set.jsonl has no text"),
        ([{"q": "too short"}], {}, "nothing to look for: 1 items have no text of 8 words or more"),
        (
            [{"q": HENS, "n": str(n)} for n in range(11)],
            {},
            "nothing to look for: 0 items .* 11 only n-grams that are common",
        ),
    ],
)
def test_a_useless_reference_is_refused(write: Writer, records: list[Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=f"decontaminate: .*{message}"):
        Decontaminate(references=write(*records), **given).open()


def test_a_missing_reference_is_refused_when_the_recipe_is_checked(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="decontaminate: there is no file"):
        Decontaminate(references=str(tmp_path / "none.jsonl")).resources()


def test_references_are_given_as_people_give_them(write: Writer, tmp_path: Path) -> None:
    path = write({"q": HENS})
    for reference in (path, Path(path), [path], (Path(path),), str(tmp_path), f"{tmp_path}/*.jsonl"):
        stage = Decontaminate(references=reference)  # type: ignore[arg-type]
        assert isinstance(stage.references, tuple)
        assert stage.resources() == (path,)


def test_items_that_cannot_be_found_are_told_once(write: Writer, caplog: pytest.LogCaptureFixture) -> None:
    stage = Decontaminate(references=write({"q": HENS}, {"q": "short"}, {"q": "short too"}))
    with caplog.at_level(logging.WARNING, "corpusmill"):
        stage.open()
        stage.open()
    assert [record.getMessage() for record in caplog.records] == [
        "decontaminate: of 3 items in set.jsonl, 2 cannot be found: 2 have no text of 8 words, 0 only common n-grams"
    ]


def test_a_changed_file_is_read_again(write: Writer) -> None:
    stage = Decontaminate(references=write({"q": HENS}))
    assert is_found(stage, HENS)
    write({"q": FILLER})
    assert not is_found(stage, HENS)


WORDS = ["a", "b", "c", "Mill", "MILL,", "_b_", "2", "é", "E\u0301", "水", "車", "ก", "ิ", "—", "\n", "don't", "¼"]
TEXT = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
ITEM = st.lists(TEXT, min_size=1, max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.tuples(TEXT, ITEM), min_size=1, max_size=4),
    documents=st.lists(TEXT, min_size=1, max_size=3),
    size=st.integers(3, 5),
    least=st.integers(1, 3),
    maximum_items=st.sampled_from([None, 1, 2]),
)
def test_the_kernels_find_what_plain_python_finds(
    tmp_path: Path,
    records: Sequence[tuple[str, list[str]]],
    documents: list[str],
    size: int,
    least: int,
    maximum_items: int | None,
) -> None:
    path = tmp_path / "fuzz.jsonl"
    path.write_text("".join(json.dumps({"q": question, "c": choices}) + "\n" for question, choices in records), "utf-8")
    plain = PlainIndex(
        [ReferenceItem(*item) for item in read_items(path, "fuzz", (), (), set())], size, least, maximum_items
    )
    try:
        index = EvaluationIndex(
            [str(path)], NgramRules(size, least), fields=(), id_fields=(), maximum_items=maximum_items, exceptions=()
        )
    except RecipeError:
        assert not any(grams for _, grams in plain.passages)
        return
    documents += [question for question, _ in records]
    found = index.windows_of(pa.array(documents, pa.large_string()))
    for row, text in enumerate(documents):
        rows = found[found[:, 0] == row]
        match = index.match(rows, 0.0) if len(rows) else None
        ours = (match.ngrams, match.share, match.ref.replace("fuzz.jsonl", "fuzz")) if match else (0, 0.0, None)
        assert ours == plain.match(text)


def test_a_long_run_of_documents_is_searched_in_blocks(write: Writer) -> None:
    generator = random.Random(3)
    words = [f"w{number}" for number in range(5000)]
    stage = Decontaminate(
        references=write({"q": " ".join(words[100:120])}, {"q": " ".join(words[200:209])}), action="measure"
    )
    for place in range(495, 540):  # around the size of a block
        text = generator.choices(words[1000:], k=2000)
        text[place : place + 13] = words[104:117]
        text[place + 700 : place + 709] = words[200:209]
        (row,) = judged(stage, " ".join(text))
        assert (row["leaked_ngrams"], row["leaked_share"]) == (2, 1.0)


def _mail(text: str) -> str:
    return "> " + "\n> ".join(" ".join(text.split()[at : at + 5]) for at in range(0, len(text.split()), 5))


def _every_eighth_word_changed(text: str) -> str:
    return " ".join("otherwise" if at % 8 == 7 else word for at, word in enumerate(text.split()))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (str, 1.0),
        (str.upper, 1.0),
        (_mail, 1.0),
        (lambda text: text.replace(" ", ",  "), 1.0),
        (lambda text: "**" + text.replace(" ", "** _") + "_", 1.0),
        (_every_eighth_word_changed, 0.0),
        (lambda text: " ".join(reversed(text.split())), 0.0),
    ],
)
def test_planted_items_are_all_found_and_nothing_else_is(
    write: Writer, change: Callable[[str], str], found: float
) -> None:
    generator = random.Random(11)
    lengths = [8, 12, 13, 20, 60]
    items = [prose(5000 + number, lengths[number % 5]) for number in range(60)]
    stage = Decontaminate(references=write(*[{"id": number, "q": item} for number, item in enumerate(items)]))
    pages = [prose(number, 200) for number in range(60)]
    planted = []
    for page, item in zip(pages, items, strict=True):
        at = page.index(" ", generator.randrange(len(page) - 20))
        planted.append(f"{page[:at]}\n{change(item)}\n{page[at:]}")
    assert [row["drop"] for row in judged(stage, *pages)] == [None] * 60
    refs = [row["leaked_item"] for row in judged(stage, *planted)]
    assert refs == ([f"set.jsonl#{number}" for number in range(60)] if found else [None] * 60)


def test_the_table_holds_every_key_and_little_else() -> None:
    from corpusmill.stages.evaluation_index import _bit_filter
    from corpusmill.stages.kernels.ngram_table import may_hold, sorted_with_numbers

    generator = np.random.default_rng(2)
    keys = generator.integers(0, 2**64 - 1, 5000, np.uint64, endpoint=True)
    keys[1000:1100] = keys[3]
    keys[:2] = 0, 2**64 - 1
    order = np.argsort(keys, kind="stable")
    ordered, numbers = sorted_with_numbers(keys.copy())
    assert (ordered == keys[order]).all()
    assert (numbers == order).all()
    bits, shift = _bit_filter(ordered)
    assert all(may_hold(key, bits, np.uint64(shift)) for key in ordered)
    others = generator.integers(0, 2**64 - 1, 5000, np.uint64)
    assert sum(bool(may_hold(key, bits, np.uint64(shift))) for key in others) < 100


def test_common_counts_items_and_not_their_texts(write: Writer) -> None:
    prompt = f"Solve this step by step. {HENS} Give the answer as a number."
    chat = [{"role": "user", "content": HENS}]
    records = [{"question": HENS, "prompt": prompt, "messages": chat, "response": f"model {n}"} for n in range(10)]
    other = {"question": FILLER}
    assert is_found(Decontaminate(references=write(*records, other)), HENS)
    eleventh = {"question": "Read on.", "prompt": prompt, "response": "model 11"}
    assert not is_found(Decontaminate(references=write(*records, eleventh, other)), HENS)
    assert is_found(Decontaminate(references=write(*records, {**records[0], "n": 1}, other)), HENS)


@pytest.mark.parametrize(
    ("item", "page"),
    [
        (
            "Tom writes the numbers 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 on the board and erases two of them.",
            "Mo Tu We Th Fr Sa Su\n 1 2 3 4 5 6 7\n 8 9 10 11 12 13 14\n15 16 17 18 19 20 21",
        ),
        (
            "def f(): assert f([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == 'nothing is left of it'",
            f"Rainfall in mm {'0 ' * 40}",
        ),
        (
            "Shift each letter of a b c d e f g h i j k l m n o p q r s t u v w x y z by three and write it down",
            "Jump to: A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
        ),
        (f"Sing {'la li lu ' * 9} to the tune of the old song about the mill", "la li lu " * 20),
    ],
)
def test_what_says_nothing_is_not_looked_for(write: Writer, item: str, page: str) -> None:
    stage = Decontaminate(references=write({"q": item}))
    assert not is_found(stage, page)
    assert judged(stage, item)[0]["leaked_share"] == 1.0  # by the words around; the rest counts on neither side
    assert stage.index().plain > 0


def test_what_says_nothing_is_told(write: Writer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "corpusmill"):
        Decontaminate(references=write({"q": HENS}, {"q": "1 2 3 4 5 6 7 8 9 10 11 12 13 14"})).open()
    assert [record.getMessage() for record in caplog.records] == [
        "decontaminate: files and their items: set.jsonl (2)",
        "decontaminate: 2 n-grams of few distinct words, or of numbers and single letters alone, are not looked for",
        "decontaminate: of 2 items in set.jsonl, 1 cannot be found: 0 have no text of 8 words, 1 only common n-grams",
    ]


SPEECH = [" ".join(f"{letter}{number}" for number in range(15)) for letter in "abcd"]


@pytest.mark.parametrize(
    "exception", ["\n\n".join(SPEECH), "\n".join(" ".join(SPEECH).split()), "\r\n \r\n".join(SPEECH)]
)
def test_a_text_file_of_exceptions_is_one_text(write: Writer, tmp_path: Path, exception: str) -> None:
    path = tmp_path / "LICENSE.txt"
    path.write_bytes(exception.encode())
    reference = write({"q": f"Explain this: {' '.join(SPEECH)} in words of one syllable please"}, {"q": HENS})
    for name in (path, tmp_path / "LICENSE*"):
        stage = Decontaminate(references=reference, exceptions=(str(name),))
        assert not is_found(stage, "\n\n".join(SPEECH))
        assert is_found(stage, f"{SPEECH[3]} in words of one syllable please")


def test_exceptions_that_change_nothing_are_told(
    write: Writer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("used.txt", HENS), ("idle.txt", FILLER)):
        (tmp_path / name).write_text(text)
    reference = write({"q": HENS + " How many are left?"}, {"q": " ".join(SPEECH)})
    with caplog.at_level(logging.WARNING, "corpusmill"):
        Decontaminate(references=reference, exceptions=(str(tmp_path / "*.txt"),)).open()
    assert [record.getMessage() for record in caplog.records] == [
        "decontaminate: the exceptions in idle.txt change nothing: no item has any n-gram of theirs"
    ]


def test_files_of_single_items_count_as_one_set(write: Writer, tmp_path: Path) -> None:
    template = "import olympiad; size(150); draw((0,0)--(1,0)--(1,1)--cycle); label it and fill it with light grey"
    (tmp_path / "geometry").mkdir()
    (tmp_path / "algebra").mkdir()
    for number in range(14):
        folder = "geometry" if number < 12 else "algebra"
        problem = f"{template} What is the area of figure{number} that is shown above in square metres{number}?"
        write({"problem": problem}, name=f"{folder}/{number}.jsonl")
    items = [f"What is the area of figure{n} that is shown above in square metres{n}?" for n in range(14)]
    stage = Decontaminate(references=str(tmp_path / "geometry"))
    assert not is_found(stage, template)
    assert [is_found(stage, item) for item in items] == [True] * 12 + [False] * 2
    assert is_found(Decontaminate(references=str(tmp_path / "algebra")), template)
    assert not is_found(Decontaminate(references=str(tmp_path)), template)  # common in one set is common
    for number in (10, 11):
        (tmp_path / "geometry" / f"{number}.jsonl").unlink()
    write({"problem": template + " and again"}, *[{"n": f"{n} of many"} for n in range(9)], name="geometry/big.jsonl")
    assert is_found(Decontaminate(references=str(tmp_path / "geometry")), template)  # that file is a set of its own


def test_copies_in_files_of_single_items_are_one_item(write: Writer, tmp_path: Path) -> None:
    for number in range(12):
        write({"q": HENS}, name=f"{number:02}.jsonl")
    stage = Decontaminate(references=str(tmp_path))
    assert judged(stage, HENS)[0]["leaked_item"] == "00.jsonl#0"
    assert sum(file.duplicates for file in stage.index().files) == 11


def test_spans_of_a_text_that_is_all_matches(write: Writer) -> None:
    words = ["one", "fish", "two", "birds", "red"]
    stage = Decontaminate(references=write({"q": " ".join(words * 4)}), action="trim", margin=0, minimum_piece=1)
    index = stage.index()
    text = f"before, {' '.join(words * 200)}; {'x' * 5} {' '.join(words * 200)}!"
    found = index.windows_of(pa.array([text], pa.large_string()))
    spans = index.spans(text, found[np.random.default_rng(1).permutation(len(found))])
    assert [text[first:last] for first, last in spans] == [" ".join(words * 200)] * 2
    assert judged(stage, text)[0]["text"] == "before,\n\nxxxxx"


def test_nothing_left_says_how_long_the_longest_piece_is(write: Writer) -> None:
    stage = Decontaminate(references=write({"q": HENS}), action="trim", margin=0)
    (row,) = judged(stage, f"{'word ' * 10}{HENS} {'text ' * 20}")
    assert row["drop"] == {"reason": "nothing_left", "value": 99.0, "limit": 200.0, "ref": "set.jsonl#0"}
