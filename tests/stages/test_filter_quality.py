"""Quality rules: thresholds as published, measurements by hand and against a plain oracle, settings, hostile text."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plain_quality as plain
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Drop, RecipeError, signal_column
from corpusmill.stages.filter_quality import FilterQuality
from corpusmill.stages.function_words import FUNCTION_WORDS
from corpusmill.stages.kernels import quality_layout as layout
from corpusmill.stages.quality_characters import quality_characters
from corpusmill.stages.quality_measures import edit_texts, measure_texts
from corpusmill.stages.quality_rules import RULES, Family, LineRule
from corpusmill.stages.text_buffers import text_buffers
from corpusmill.stages.text_units import EDGES

ALL: frozenset[Family] = frozenset({"words", "lines", "page", "repetition"})
LINE_RULES: tuple[LineRule, ...] = ("no_terminal_punctuation", "few_words", "long_word", "javascript", "policy")
PROSE = (
    "The water mill on the edge of the village was built in 1782 and has been in the hands of one family ever since. "
    "In spring, when the stream is full, the wheel turns day and night. The miller says that his flour is coarser than "
    "what people buy in town, but the bakers come back for it every week.\n"
)
PUBLISHED = {
    # Rae et al. 2021, section A1.1
    ("gopher_quality", "minimum_words"): 50,
    ("gopher_quality", "maximum_words"): 100_000,
    ("gopher_quality", "minimum_mean_word_length"): 3,
    ("gopher_quality", "maximum_mean_word_length"): 10,
    ("gopher_quality", "maximum_hash_ratio"): 0.1,
    ("gopher_quality", "maximum_ellipsis_ratio"): 0.1,
    ("gopher_quality", "maximum_bullet_lines"): 0.9,
    ("gopher_quality", "maximum_ellipsis_lines"): 0.3,
    ("gopher_quality", "minimum_alphabetic_words"): 0.8,
    ("gopher_quality", "minimum_stop_words"): 2,
    # Rae et al. 2021, table A1
    ("gopher_repetition", "maximum_duplicate_lines"): 0.3,
    ("gopher_repetition", "maximum_duplicate_paragraphs"): 0.3,
    ("gopher_repetition", "maximum_duplicate_line_characters"): 0.2,
    ("gopher_repetition", "maximum_duplicate_paragraph_characters"): 0.2,
    ("gopher_repetition", "maximum_top_2_gram"): 0.20,
    ("gopher_repetition", "maximum_top_3_gram"): 0.18,
    ("gopher_repetition", "maximum_top_4_gram"): 0.16,
    ("gopher_repetition", "maximum_duplicate_5_grams"): 0.15,
    ("gopher_repetition", "maximum_duplicate_6_grams"): 0.14,
    ("gopher_repetition", "maximum_duplicate_7_grams"): 0.13,
    ("gopher_repetition", "maximum_duplicate_8_grams"): 0.12,
    ("gopher_repetition", "maximum_duplicate_9_grams"): 0.11,
    ("gopher_repetition", "maximum_duplicate_10_grams"): 0.10,
    # Raffel et al. 2020, section 2.2
    ("c4", "minimum_sentences"): 5,
    ("c4", "maximum_curly_brackets"): 0,
    ("c4", "maximum_lorem_ipsum"): 0,
    # Penedo et al. 2024, section 3.6, and datatrove
    ("fineweb", "minimum_lines_ending_with_punctuation"): 0.12,
    ("fineweb", "maximum_short_lines"): 0.67,
    ("fineweb", "maximum_duplicate_line_characters"): 0.1,
    ("fineweb", "maximum_newlines_per_word"): 0.3,
}


class Judged:
    def __init__(self, text: str, given_settings: dict[str, Any]) -> None:
        out, verdicts = FilterQuality(**given_settings).judge(pa.record_batch({"text": pa.array([text])}))
        (row,) = out.to_pylist()
        self.text = row["text"]
        signals = {name: row[signal_column(name)] for name in FilterQuality.signals}
        self.signals = {name: value for name, value in signals.items() if value is not None}
        self.drop = Drop(**verdicts[0].as_py()) if verdicts[0].is_valid else None


def judge(text: str, **given_settings: Any) -> tuple[Judged, Drop | None]:
    judged = Judged(text, given_settings)
    return judged, judged.drop


def buffers(texts: Sequence[str]) -> Any:
    return text_buffers(pa.array(texts, pa.large_string()))


def measure_all(texts: Sequence[str], families: frozenset[Family] = ALL) -> list[dict[str, Any]]:
    """What kernels measure, after seeing that the plain way measures the same."""
    values = measure_texts(buffers(texts), families)
    rows = [
        {name: None if np.isnan(given[at]) else given[at] for name, given in values.items()} for at in range(len(texts))
    ]
    for text, row in zip(texts, rows, strict=True):
        assert row == plain.measure(text, families), text[:500]
    return rows


def measure(text: str, families: frozenset[Family] = ALL) -> dict[str, Any]:
    return measure_all([text], families)[0]


def edit(texts: Sequence[str], rules: tuple[LineRule, ...], *, uncite: bool = False) -> list[tuple[str, int]]:
    """What kernels edit, after seeing that the plain way edits the same."""
    edited = edit_texts(buffers(texts), rules, uncite=uncite)
    found = list(zip(edited.texts.to_pylist(), edited.removed.tolist(), strict=True))
    for text, result in zip(texts, found, strict=True):
        unruled = plain.remove_citations(text) if uncite else text
        assert result == (plain.edit_lines(text, rules, uncite=uncite) if rules else (unruled, 0)), text[:500]
    return found


def test_thresholds_are_the_published_ones() -> None:
    assert {(preset, rule.setting): limit for rule in RULES for preset, limit in rule.limits.items()} == PUBLISHED


def test_every_rule_has_a_setting_and_every_setting_a_rule() -> None:
    fields = set(FilterQuality.__struct_fields__) - {"presets", "remove_lines", "citations"}
    assert fields == {rule.setting for rule in RULES}
    assert {rule.reason for rule in RULES} == FilterQuality.reasons


def test_the_documented_table_is_the_table_in_force() -> None:
    page = Path(__file__).parents[2] / "docs" / "quality_rules.md"
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (below|above) \| ([^|]+) \|", page.read_text("utf-8"), re.MULTILINE)
    told = [(reason, setting, side, limits.strip()) for reason, setting, side, limits in rows]
    sides = {"minimum": "below", "maximum": "above"}
    expected = [
        (
            rule.reason,
            rule.setting,
            sides[rule.side],
            ", ".join(
                f"{preset} {limit:,g}" if limit < 1000 else f"{preset} {limit:,.0f}"
                for preset, limit in rule.limits.items()
            ),
        )
        for rule in RULES
    ]
    assert told == expected


def test_the_limit_itself_is_good() -> None:
    for rule in RULES:
        for limit in rule.limits.values():
            beyond = limit - 0.01 if rule.side == "minimum" else limit + 0.01
            assert rule.broken_by(np.array([limit, beyond, np.nan]), limit).tolist() == [False, True, False]


def test_the_first_broken_rule_in_declared_order_is_the_reason() -> None:
    text = "# # # buy buy buy\n" * 3
    document, drop = judge(text)
    assert drop == Drop("too_few_words", 9.0, 50.0)
    assert document.signals["hash_ratio"] == 0.5
    assert judge(text, minimum_words="off")[1] == Drop("hash_ratio", 0.5, 0.1)
    assert judge(text, minimum_words=None, maximum_hash_ratio=None)[1] == Drop("alphabetic", 0.5, 0.8)


def test_signals_do_not_depend_on_limits() -> None:
    expected = judge(PROSE)[0].signals
    for changes in ({"minimum_words": 1}, {"maximum_top_2_gram": 0.0}, {"minimum_stop_words": "off"}):
        assert judge(PROSE, **changes)[0].signals == expected
    assert set(expected) | {"curly_brackets", "lorem_ipsum", "sentences", "removed_lines"} == set(FilterQuality.signals)


def test_a_family_without_rules_is_not_measured() -> None:
    assert set(judge(PROSE, presets=("c4",))[0].signals) == {
        "removed_lines",
        "curly_brackets",
        "lorem_ipsum",
        "sentences",
    }
    assert "top_2_gram" in judge(PROSE, presets=(), maximum_top_3_gram=0.5)[0].signals
    assert judge("", presets=())[0].signals == {}


def test_the_stricter_of_two_presets_holds() -> None:
    limits = {rule.reason: limit for rule, limit in FilterQuality(presets=("gopher_repetition", "fineweb")).limits()}
    assert limits["duplicate_line_characters"] == 0.1
    assert len(FilterQuality(presets=()).limits()) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"presets": ("gopher",)},
        {"minimum_words": "none"},
        {"minimum_words": -1},
        {"remove_lines": ("short",)},
        {"citations": "yes"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="filter_quality"):
        FilterQuality(**wrong)


def test_settings_are_values() -> None:
    assert hash(FilterQuality(minimum_words=5)) == hash(FilterQuality(minimum_words=5.0))


def test_word_values_by_hand() -> None:
    measured = measure("The #1 mill ... stands – and the wheel…", frozenset({"words"}))
    assert measured == {
        "words": 7,  # the ellipsis and the dash alone are none
        "mean_word_length": pytest.approx((3 + 1 + 4 + 6 + 3 + 3 + 5) / 7),
        "hash_ratio": pytest.approx(1 / 9),
        "ellipsis_ratio": pytest.approx(2 / 9),
        "alphabetic_words": pytest.approx(6 / 9),
        "stop_words": 2,
    }


def test_line_values_by_hand() -> None:
    measured = measure(
        "• one\n\n- two...\nthree is a line of more than thirty characters.\n\n• one\n", frozenset({"lines"})
    )
    assert measured == {
        "bullet_lines": 0.75,
        "ellipsis_lines": 0.25,
        "lines_ending_with_punctuation": 0.5,
        "short_lines": 0.75,
        "newlines_per_word": pytest.approx(3 / 12),
        "duplicate_lines": 0.25,
        "duplicate_line_characters": pytest.approx(5 / (5 + 8 + 47 + 5)),
        "duplicate_paragraphs": pytest.approx(1 / 3),
        "duplicate_paragraph_characters": pytest.approx(5 / (5 + 8 + 1 + 47 + 5)),
    }


def test_nothing_to_measure_is_null_and_breaks_no_rule() -> None:
    for text in ("", " \n\t\r\n", "\u200b", "..."):
        measured = measure(text, ALL)
        assert measured["words"] == 0
        assert measured["mean_word_length"] is None
        assert measured["top_2_gram"] is None
    assert judge("", minimum_words=None)[1] is None


@pytest.mark.parametrize(
    ("text", "count", "per_word"),
    [
        ("水车磨坊", 2.0, 2),
        ("水車小屋をみる", 3.5, 2),
        ("โรงสีน้ำเก่า", 2.4, 5),
        ("Die Mühle", 2.0, 1),
        ("물레방아 마을", 2.0, 1),
        ("在2018年, the mill", 4.0, 1),
        ("ཆུ་འཁོར", 1.2, 5),
    ],
)
def test_words_in_scripts_with_and_without_spaces(text: str, count: float, per_word: int) -> None:
    words = plain.words_of(text)
    assert words.count == pytest.approx(count)
    assert words.per_word == per_word


def test_word_length_is_not_measured_where_words_are_not_visible() -> None:
    assert plain.words_of("水车磨坊建于村边").mean_length is None
    assert plain.words_of("물레방아").mean_length == 8
    assert plain.words_of("पानी").mean_length == 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the mill of the village", 2),
        ("THE mill THE", 1),
        ("buy shoes online cheap", 0),
        ("det er ikke møllen", 3),
        ("một cối xay của làng và những người", 3),
        ("nyumba ya zamani na kinu cha kijiji katika bonde", 3),
    ],
)
def test_function_words_of_one_language_count(text: str, found: int) -> None:
    assert plain.function_words_found(plain.words_of(text).vocabulary) == found
    assert measure(text, frozenset({"words"}))["stop_words"] == found


def test_function_words_are_not_asked_of_other_scripts() -> None:
    assert measure("Мельница стоит у реки, mill and the.", frozenset({"words"}))["stop_words"] is None


def sentences(lines: list[str]) -> int:
    assert plain.count_sentences(lines) == measure("\n".join(lines), frozenset({"page"}))["sentences"]
    return plain.count_sentences(lines)


def test_sentences() -> None:
    assert sentences(["One. Two! Three?", '"Four." Five']) == 5
    assert sentences(["一句。两句！三句"]) == 3
    assert sentences(["......x", "3.14 is pi."]) == 2
    assert plain.paragraphs_of("a\r\n \r\nb\n\n\n") == ["a", "b"]


def oracle(units: list[str], characters: int, per_word: int) -> dict[str, Any]:
    """Measure repetition the plain way: every n-gram as a tuple."""
    names = {f"top_{n}_gram": n for n in (2, 3, 4)} | {f"duplicate_{n}_grams": n for n in range(5, 11)}
    if not units:
        return dict.fromkeys(names)
    values: dict[str, Any] = {}
    for name, n in names.items():
        size = n * per_word
        grams = [tuple(units[at : at + size]) for at in range(len(units) - size + 1)]
        if n <= 4:
            counts = Counter(grams)
            most = max(counts.values(), default=0)
            spaces = size - 1 if per_word == 1 else 0
            longest = max((sum(map(len, gram)) for gram, count in counts.items() if count == most), default=0)
            values[name] = min(1.0, most * (longest + spaces) / characters) if most > 1 else 0.0
        else:
            # As datatrove's find_all_duplicate: behind a repeated n-gram, not inside it, the next one is looked for.
            seen: set[tuple[str, ...]] = set()
            repeated = at = 0
            while at < len(grams):
                again = grams[at] in seen
                repeated += sum(map(len, grams[at])) if again else 0
                seen.add(grams[at])
                at += size if again else 1
            values[name] = repeated / characters
    return values


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=70), st.sampled_from([1, 2, 5]))
def test_repetition_agrees_with_the_plain_way(units: list[str], per_word: int) -> None:
    characters = sum(map(len, units)) + len(units)
    assert plain.repetition(units, characters, per_word) == oracle(units, characters, per_word)


def test_line_editing() -> None:
    lines = {
        "The mill stands still.": True,
        'He said: "It turns again!"': True,
        "磨坊建于村边，至今仍在。": True,
        "The mill stands still": False,
        "The mill stands ...": False,
        "The mill stands…": False,
        "Closed today.": False,
        "Turn on JavaScript now.": False,
        "Read our Privacy Policy here.": False,
        f"The word {'x' * 1001} is long.": False,
    }
    ((text, removed),) = edit(["\n".join(lines)], LINE_RULES)
    assert text.split("\n") == [line for line, kept in lines.items() if kept]
    assert removed == 7
    assert edit(["a\n\n\n\nb\n"], ("javascript",)) == [("a\n\nb", 0)]


def test_other_presets_leave_the_text_alone() -> None:
    text = "Home \r\n\r\n\r\n" + PROSE + "See [1] and [edit]. \n"
    assert judge(text, presets=("gopher_quality", "gopher_repetition", "fineweb"))[0].text == text
    assert judge(text, presets=(), citations="remove")[0].text == text.replace("[1]", "").replace("[edit]", "")
    assert judge(text, presets=("c4",), citations="keep", remove_lines=())[0].text == text


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("的กa.#…{[ \n")), max_size=200)
)
def test_any_text_is_measured(text: str) -> None:
    document, drop = judge(text, presets=("gopher_quality", "gopher_repetition", "c4", "fineweb"), minimum_words=None)
    assert drop is None or drop.reason in FilterQuality.reasons
    shares = [
        v for name, v in measure(document.text, ALL).items() if v is not None and ("duplicate" in name or "top" in name)
    ]
    assert all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize(
    "text",
    [
        ".'" * 250_000,
        "a " * 500_000,
        "的" * 500_000,
        "[1" * 250_000,
        "\n " * 250_000,
        "x" * 1_000_000,
        "\u093f" * 500_000,
    ],
)
def test_a_megabyte_of_anything_is_measured(text: str) -> None:
    assert set(measure(text, ALL)) == {rule.signal for rule in RULES}


SEPARATORS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\n\n", " \n\t\n"]
BLANKS = [" ", " ", " ", "\t", "\xa0", "\u3000", "\x1f", "\u1680", "\u200b", ""]
MARKS = [
    *".!?…\"'”’»)]([{#-–—*•,;:。！？॥؟。።_~·་",
    "...",
    "....",
    "..",
    '."',
    ".)\"'",
    ".))))",
    "[1]",
    "[12345]",
    "[]",
    "[edit]",
]
MARKS += ["[citation needed]", "[١]", "[1", "- ", "* "]
WORDS = [
    "the",
    "be",
    "to",
    "OF",
    "and",
    "a",
    "x",
    "1",
    "2024",
    "3rd",
    "e-mail",
    "don't",
    "it's",
    "der",
    "und",
    "NIE",
    "əda",
    "və",
    "İLE",
    "jaK",
    "JAK",
    "že",
    "wọ́n",
    "NHỮNG",
    "của",
    "Σίσυφος",
    "мельница",
    "у",
    "реки",
    "и",
    "물레방아",
    "कर्म",
    "മാധ്യമപ്രവർത്തകർ",
    "水车",
    "水車小屋を",
    "々",
    "โรงสีน้ำ",
    "ཆུ་འཁོར",
    "မြန်မာ",
    "a的",
    "ab的cd,ef",
    "x_y的",
    "①",
    "²",
    "Ⅷ",
    "😀",
    "́",
    "á",
    "\ufeff",
    "\x00",
    "\x7f",
    "\u200d",
    "__",
    "--",
    "𠀀",
    "\U0010ffff",
    "javascript",
    "JavaScript",
    "javaScrıpt",
    "java[1]script",
    "xlorem",
]
WORDS += [
    "lorem ipsum",
    "LOREM IPSUMx",
    "terms of use",
    "Privacy Policy",
    "uses cookies",
    "use cooKies",
    "x" * 1000,
    "é" * 1001,
]
WORDS += ["-" * 1100, "a的" + "b" * 1001, "的" * 1100, "." + "y" * 1001 + "!"]
LINES = st.lists(st.sampled_from(WORDS + MARKS + BLANKS) | st.text(max_size=2), max_size=14).map("".join)
PAGES = st.lists(st.tuples(LINES, st.sampled_from(SEPARATORS)), max_size=8).flatmap(
    lambda lines: st.lists(st.sampled_from(lines or [("", "")]), max_size=8).map(
        lambda again: "".join(line + end for line, end in [*lines, *again])
    )
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(PAGES.map(lambda text: text.encode("utf-8", "replace").decode()), min_size=1, max_size=4),
    st.lists(st.sampled_from(LINE_RULES), unique=True),
    st.booleans(),
)
def test_kernels_measure_and_edit_as_the_plain_way_does(texts: list[str], rules: list[LineRule], uncite: bool) -> None:
    measure_all(texts)
    edit(texts, tuple(rules), uncite=uncite)


@pytest.mark.parametrize("text", ["için\x00 the", "\x00için of", "ve\x00 ve", "that the\x00", "NHỮNG\x7f"])
def test_a_word_with_a_character_more_is_another_word(text: str) -> None:
    assert (measure(text)["stop_words"] or 0) <= 1


def test_a_mark_between_line_ends_leaves_a_blank_line() -> None:
    assert edit(["one\r[1]\ntwo"], ("javascript",), uncite=True) == [("one\n\ntwo", 0)]
    assert edit(["one\r[1]\ntwo"], (), uncite=True) == [("one\r\ntwo", 0)]


def test_what_is_measured_does_not_depend_on_the_texts_before_it() -> None:
    texts = ["the mill " * 200, "的" * 900, PROSE * 3, "", "a\n" * 500, PROSE]
    assert measure_all(texts) == [measure(text) for text in texts]
    assert measure_all(texts[::-1]) == [measure(text) for text in texts[::-1]]


def test_bytes_that_are_no_text_are_measured_and_stay() -> None:
    broken = pa.array([b"The mill \xff\xc3 stands \xe2\x80.\nIt \xf0\x9f turns again."], pa.large_binary())
    texts = text_buffers(pa.Array.from_buffers(pa.large_string(), 1, broken.buffers()))
    assert measure_texts(texts, ALL)["words"][0] == 6
    edited = edit_texts(texts, LINE_RULES, uncite=True)
    assert bytes(edited.texts.buffers()[2])[: edited.texts.buffers()[2].size] == broken[0].as_py()


def test_only_the_first_hundred_thousand_words_are_looked_at_for_repeats() -> None:
    words = [f"w{number}" for number in range(layout.UNITS_MEASURED)]
    measured = measure(" ".join([*words, *["again"] * 50_000]))
    assert measured["top_2_gram"] == measured["duplicate_5_grams"] == 0
    assert measure(" ".join(["again"] * 20 + words))["top_2_gram"] > 0


def test_classes_of_characters_are_those_of_python() -> None:
    bytes_, page_of, pages = quality_characters()
    for code in range(sys.maxunicode + 1):
        one = chr(code)
        kind = int(pages[page_of[code >> 7], code & 127])
        assert bool(kind & layout.ALPHA) == one.isalpha(), hex(code)
        assert bool(kind & layout.ALNUM) == one.isalnum(), hex(code)
        assert bool(kind & layout.SPACE) == one.isspace(), hex(code)
        assert bool(kind & layout.LINE) == (len(f"a{one}a".splitlines()) > 1), hex(code)
        assert bool(kind & layout.DECIMAL) == bool(re.match(r"\d", one)), hex(code)
        assert code > 127 or kind & 0xFFFF == bytes_[code] & 0xFFFF
    assert not any(mark.isalnum() or mark.isspace() for mark in EDGES)


def test_function_words_fit_their_table() -> None:
    words = {word for listed in FUNCTION_WORDS.values() for word in listed.split()}
    assert max(len(word.encode()) for word in words) <= 8
    assert all(word == word.lower() for word in words)
    for words_of_one in FUNCTION_WORDS.values():
        listed = words_of_one.split()
        padding = "" if len(listed) > 1 else " xyzzy"
        assert measure(" ".join(listed) + padding)["stop_words"] >= len(set(listed))
