"""Toxic terms: matching in every script, the lexicon's own rules, densities and thresholds.

Mechanics are tested with made-up words. Where the default lexicon matters, its terms are picked by category and severity.
"""

from __future__ import annotations

import json
import random
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages import FilterToxicity, term_folding, term_matcher
from corpusmill.stages.base import Apply
from corpusmill.stages.filter_toxicity import CATEGORIES
from corpusmill.stages.plausible_languages import LanguageEvidence
from corpusmill.stages.term_folding import SPECIAL, fold
from corpusmill.stages.term_matcher import TermMatcher
from corpusmill.stages.toxic_terms import DEFAULT_LEXICON, LexiconEntry, ToxicTerms, read_lexicon

DEFAULT = read_lexicon(DEFAULT_LEXICON)
PROSE = {
    "en": "The mill by the river has ground flour for the village since the time of the old bridge, and it still does. ",
    "de": "Die Mühle am Fluss mahlt seit der Zeit der alten Brücke das Mehl für das Dorf, und sie tut es noch heute. ",
    "fr": "Le moulin sur la rivière fait de la farine pour les gens du village, et il est plus vieux que le pont. ",
    "es": "El molino del río hace la harina para los vecinos del pueblo, y es más viejo que el puente de piedra. ",
    "it": "Il mulino sul fiume fa la farina per la gente del paese, ed è più vecchio del ponte che non si usa più. ",
    "pt": "O moinho do rio faz a farinha para as pessoas da aldeia, e não é mais velho do que a ponte de pedra. ",
    "nl": "De molen aan de rivier maalt het meel voor het dorp, en dat doet hij al sinds de tijd van de oude brug. ",
    "pl": "Młyn nad rzeką mieli mąkę dla wsi od czasu starego mostu i nie jest to koniec, bo działa do dziś. ",
    "ru": "Мельница на реке мелет муку для деревни со времён старого моста, и она всё ещё работает, как и тогда. ",
    "tr": "Irmak kıyısındaki değirmen köy için un öğütür ve bu iş eski köprü zamanından beri böyle; ne de güzel bir yer. ",
    "ar": "تطحن الطاحونة على النهر الدقيق من أجل القرية منذ زمن الجسر القديم، وهي لا تزال تعمل في هذا المكان إلى اليوم. ",
    "hi": "नदी के किनारे की चक्की पुराने पुल के समय से गाँव के लिए आटा पीसती है और यह आज भी चलती है। ",
    "zh": "河边的磨坊从老桥的时代起就为村里磨面，今天仍然如此。村民们每个星期都把粮食送到那里。",
    "ja": "川のそばの水車小屋は、古い橋の時代から村のために粉をひいてきた。今日もそうである。",
    "th": "โรงสีริมแม่น้ำบดแป้งให้หมู่บ้านมาตั้งแต่สมัยสะพานเก่า และยังทำอยู่จนถึงวันนี้ ",
}


def found(text: str, *terms: str, language: str = "", allowed: tuple[str, ...] = ()) -> list[str]:
    matcher = TermMatcher(terms, [language] * len(terms), allowed)
    return [text[match.start : match.end] for match in matcher.find(text)]


def custom(path: Path, *entries: dict[str, Any], **settings: object) -> FilterToxicity:
    path.write_text("\n".join(json.dumps(entry) for entry in entries), "utf-8")
    return FilterToxicity(**{"lexicons": (str(path),), "use_default_lexicon": False, **settings})  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def opened(stage: FilterToxicity) -> Apply:
    return stage.build()


def run(stage: FilterToxicity, text: str) -> tuple[Drop | None, dict[str, Any]]:
    document = Document(text=text)
    result = opened(stage)(document)
    return (result if isinstance(result, Drop) else None), document.signals


def pick(language: str, severity: str, count: int) -> list[str]:
    """Single words of the default lexicon, in its order."""
    terms = [
        e.term.rstrip("*")
        for e in DEFAULT
        if e.language == language and e.severity == severity and e.applies != "certain" and "*" not in e.term[:-1]
    ]
    return sorted((t for t in terms if len(t) > 2), key=len, reverse=True)[:count]


@pytest.mark.parametrize(
    ("text", "terms", "expected"),
    [
        ("Wibble, WIBBLE! (wibble) wibbles wibble_x xwibble wibble's", ("wibble",),
         ["Wibble", "WIBBLE", "wibble", "wibble"]),
        ("wibble wibbled wibbling swibble", ("wibbl*",), ["wibble", "wibbled", "wibbling"]),
        ("Grobwibble grobwibbles", ("*wibble",), ["Grobwibble"]),
        ("a wibble wobble, wibble\nwobble, wibble-wobble, wibble  wobble", ("wibble wobble",),
         ["wibble wobble", "wibble\nwobble", "wibble-wobble", "wibble  wobble"]),
        ("wibble\n\nwobble, wibble. wobble, wibblewobble", ("wibble wobble",), []),
        ("go wibble the florp", ("wibble the florp", "the florp"), ["wibble the florp", "the florp"]),
        ("STRAẞE Strasse straße STRASSE Straßen", ("straße",), ["STRAẞE", "Strasse", "straße", "STRASSE"]),
        ("İbİbble ıbıbble", ("ibibble",), ["İbİbble", "ıbıbble"]),
        ("ﬂorp FLORP ｆｌｏｒｐ 𝐟𝐥𝐨𝐫𝐩", ("florp",), ["ﬂorp", "FLORP", "ｆｌｏｒｐ", "𝐟𝐥𝐨𝐫𝐩"]),
        ("flo\u00adrp f\u200blorp f\u0337l\u0337o\u0337rp", ("florp",),
         ["flo\u00adrp", "f\u200blorp", "f\u0337l\u0337o\u0337rp"]),
        ("ёлка елка", ("ёлка",), ["ёлка", "елка"]),
        ("wi*ble wible", ("wi*ble",), ["wi*ble"]),
    ],
)  # fmt: skip
def test_words_and_phrases(text: str, terms: tuple[str, ...], expected: list[str]) -> None:
    assert found(text, *terms) == expected


def test_composed_and_decomposed_text_match_alike_with_offsets_into_the_text_given() -> None:
    for term in ("fłórpé", "crème brûlée", "がぎ"):
        for form in ("NFC", "NFD"):
            text = unicodedata.normalize(form, f"ö – {term}, ö")
            (match,) = TermMatcher([term], [""]).find(text)
            assert unicodedata.normalize("NFC", text[match.start : match.end]) == term
    assert found("florpe\u0301 florpe", "florpe") == ["florpe"]


def test_dotted_and_dotless_i_are_two_letters_in_turkish_only() -> None:
    assert found("bıbı BIBI bibi BİBİ", "bıbı", language="tr") == ["bıbı", "BIBI"]
    assert found("bıbı BIBI bibi BİBİ", "bibi", language="tr") == ["bibi", "BİBİ"]
    assert found("bıbı BIBI bibi BİBİ", "bibi", language="en") == ["bıbı", "BIBI", "bibi", "BİBİ"]


def test_devanagari_words_do_not_end_at_a_vowel_sign() -> None:
    assert found("कमल, कमला कमल। कमलों", "कमल", language="hi") == ["कमल", "कमल"]
    assert found("सड\u093cक \u0938\u095cक", "सड़क", language="hi") == ["सड\u093cक", "स\u095cक"]


def test_arabic_particles_vowel_points_and_letter_variants() -> None:
    assert found("كتاب والكتاب وكتاب بالكتاب كتابه مكتاب", "كتاب", language="ar") == ["كتاب"] * 4
    assert found("كِتَاب كتـــاب", "كتاب", language="ar") == ["كِتَاب", "كتـــاب"]
    assert found("إحسان احسان", "أحسان", language="ar") == ["إحسان", "احسان"]
    assert found("ובית הבית ביתו", "בית", language="he") == ["בית", "בית"]


def test_scripts_without_spaces_have_allowed_words_around_a_term() -> None:
    assert found("买小白菜和大白菜花", "白菜", allowed=("大白菜",)) == ["白菜"]
    assert found("ロボ、ロボット、ガロボ。ロボは", "ロボ") == ["ロボ", "ロボ"]
    assert found("看avav片av", "av") == ["av"]
    assert found("ร้านกาแฟ กาแฟะ แกาแฟ", "กาแฟ") == ["กาแฟ"]  # neither a cut syllable after it nor before it
    assert found("big wibble bird, wibble", "wibble", allowed=("wibble bird",)) == ["wibble"]


def test_every_character_with_a_longer_folding_is_known() -> None:
    characters = map(chr, range(0x110000))
    assert [c for c in characters if len(c.casefold()) != 1 and not SPECIAL.match(c)] == []


@given(st.text(st.sampled_from("aiıIİßSs\u0307\u0301\u00ad\u200beéΐﬁか\u3099अ\u093cＡ \n"), max_size=30))
@settings(max_examples=300, deadline=None)
def test_folding_keeps_offsets(text: str) -> None:
    folded = fold(text)
    last = 0
    for at in range(len(folded.text)):
        start, end = folded.source_span(at, at + 1)
        assert last <= end <= len(text)
        assert start < end
        assert folded.text[at] in fold(text[start:end]).text
        last = start


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_term_between_blanks_is_found_in_any_surroundings(before: str, after: str) -> None:
    text = f"{before} wibble {after}"
    assert (len(before) + 1, len(before) + 7) in [
        m[:2] for m in TermMatcher(["wibble", "florp zonk"], ["", ""]).find(text)
    ]


@pytest.mark.parametrize(
    "piece", ["free ", "a\u00ad", "İ", "wibble", "\u0300", "ass", "x", "free\n", "操你", "كا", "\x00"]
)
def test_a_megabyte_of_anything_is_measured_once(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    matches = TermMatcher(["free florp", "*wibb*", "ass", "free free"], ["", "", "en", ""]).find(text)
    assert len(matches) <= len(text)


class Counted(np.ndarray[Any, Any]):
    """Bytes that count how many of them are asked for in slices."""

    asked = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        Counted.asked += found.size if isinstance(key, slice) else 0
        return found


@pytest.mark.parametrize("piece", ["я fl*rpen ", "я f l o r p e n ", "fl\u043erpen ", "florpen fl0rpen "])
def test_hits_are_placed_without_reading_the_text_before_each(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = ToxicTerms([LexiconEntry(term="florpen")], everywhere=True, disguised=True)
    text = piece * 2_000
    whole = TermMatcher.read

    def read(matcher: TermMatcher, text: str) -> Any:
        found = whole(matcher, text)
        return found._replace(data=found.data.view(Counted))

    monkeypatch.setattr(TermMatcher, "read", read)
    monkeypatch.setattr(Counted, "asked", 0)
    hits = terms.find(text)
    assert len(hits) >= 2_000
    assert hits[0].start == (2 if piece[0] == "я" else 0)
    places = [hit.start % len(piece) for hit in hits]
    assert set(places) == set(places[: len(hits) // 2_000])
    assert Counted.asked < 40 * len(text.encode())


class Normalization:
    """What stands for `unicodedata` and counts how long the texts are that it normalizes."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(unicodedata, name)

    def normalize(self, form: Any, text: str) -> str:
        self.lengths.append(len(text))
        return unicodedata.normalize(form, text)


RUNS = ["\u0301\u0316", "\u0316", "\u0307\u0323", "\u05b0\u0591", "\u0338\u0335", "\u064b\u0651\u0301", "\u00ad"]


@pytest.mark.parametrize("run", RUNS)
def test_marks_are_composed_a_few_at_a_time(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Normalization()
    monkeypatch.setattr(term_folding, "unicodedata", asked)
    kept = term_folding._replacement.cache_info()
    text = f"na{run * (20_000 // len(run))}s"
    folded = fold(text)
    assert folded.source_span(len(folded.text) - 1, len(folded.text)) == (len(text) - 1, len(text))
    assert folded.source_span(0, 1) == (0, 1)
    assert max(asked.lengths, default=0) <= 34
    assert sum(asked.lengths) <= 4 * len(text)
    now = term_folding._replacement.cache_info()
    assert now.currsize - kept.currsize <= 10


@pytest.mark.parametrize("run", RUNS[:-1])
def test_dots_of_letters_are_read_a_few_marks_at_a_time(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Normalization()
    monkeypatch.setattr(term_matcher, "unicodedata", asked)
    matcher = TermMatcher(["sik"], ["tr"])
    text = f"bir si{run * (20_000 // len(run))}k, sik"
    assert matcher.find_anywhere(text)
    assert max(asked.lengths) <= 100


def test_up_to_thirty_marks_are_composed_with_their_letter() -> None:
    source = random.Random(30)
    for _ in range(2_000):
        marks = "".join(source.choices("\u0301\u0316\u0307\u0323\u0327\u0308", k=source.randint(0, 30)))
        text = f"x{source.choice('aeiouAEcs')}{marks}x"
        assert fold(text).text == unicodedata.normalize(
            "NFC", f"x{unicodedata.normalize('NFC', text[1:-1]).casefold()}x"
        ).replace("i\u0307", "i")


def test_severities_weigh_and_short_texts_count_as_fifty_words(tmp_path: Path) -> None:
    stage = custom(
        tmp_path / "own.jsonl",
        {"term": "meek", "severity": "mild", "category": "profanity"},
        {"term": "stark", "severity": "strong", "category": "sexual"},
        {"term": "grim", "severity": "severe", "category": "slur"},
        {"term": "odd", "category": "bias"},
    )
    drop, signals = run(stage, "a stark meek thing")
    assert drop is None
    assert signals == {
        "toxicity_severe": 0, "toxicity_strong": 1, "toxicity_mild": 1, "toxicity_slur": 0, "toxicity_sexual": 1,
        "toxicity_profanity": 1, "toxicity_violence": 0, "toxicity_harassment": 0, "toxicity_spam": 0,
        "toxicity_other": 0, "toxicity_density": 25.0,
    }  # fmt: skip
    assert run(stage, "a stark meek meek thing")[0] == Drop("toxic_density", 30.0, 25.0, "sexual")
    assert run(stage, "stark odd odd")[0] == Drop("toxic_density", 60.0, 25.0, "bias")
    assert run(stage, "grim stark stark")[0] == Drop("severe_terms", 1.0, 0.0, "slur")
    assert run(stage, "meek " * 200)[0] is None, "mild words alone never decide"
    assert run(stage, "stark word " * 20)[1]["toxicity_density"] == 400.0
    drop = run(stage, "word " * 77 + "stark stark")[0]
    assert drop is not None
    assert (drop.reason, drop.limit, drop.ref) == ("toxic_density", 25.0, "sexual")
    assert drop.value == pytest.approx(2000 / 79)
    assert run(stage, "word " * 78 + "stark stark")[0] is None


def test_one_slur_in_a_long_report_stays(tmp_path: Path) -> None:
    entries = ({"term": "grim", "severity": "severe", "category": "slur"},)
    stage = custom(tmp_path / "own.jsonl", *entries)
    assert run(stage, "word " * 199 + "grim")[0] == Drop("severe_terms", 1.0, 0.0, "slur")
    assert run(stage, "word " * 200 + "grim")[0] is None
    assert run(stage, "word " * 398 + "grim grim")[0] == Drop("severe_terms", 2.0, 0.0, "slur")
    strict = custom(tmp_path / "own.jsonl", *entries, minimum_severe_density=0)
    assert run(strict, "word " * 5000 + "grim")[0] == Drop("severe_terms", 1.0, 0.0, "slur")
    lenient = custom(tmp_path / "own.jsonl", *entries, maximum_severe=None, maximum_density=None)
    assert run(lenient, "grim " * 9)[0] is None


def test_what_is_measured_does_not_depend_on_thresholds(tmp_path: Path) -> None:
    entry = {"term": "grim", "severity": "severe"}
    text = "grim news, grim words"
    measured = run(custom(tmp_path / "own.jsonl", entry), text)
    silent = run(custom(tmp_path / "own.jsonl", entry, scores_only=True), text)
    assert measured[0] is not None
    assert silent[0] is None
    assert measured[1] == silent[1]


def test_the_longest_of_overlapping_hits_counts_once(tmp_path: Path) -> None:
    stage = custom(
        tmp_path / "own.jsonl",
        {"term": "wibble", "severity": "strong"},
        {"term": "wibble wobble", "severity": "mild", "category": "sexual"},
        {"term": "wobble", "severity": "severe"},
    )
    assert stage.spans("A wibble wobble! wobble") == [(2, 15, "sexual", "mild"), (17, 23, "other", "severe")]


def test_spans_are_code_points_of_the_text_given(tmp_path: Path) -> None:
    stage = custom(tmp_path / "own.jsonl", {"term": "wibble"})
    text = "😀ß\u00ad e\u0301 wib\u00adble 😀"
    ((start, end, category, severity),) = stage.spans(text)
    assert (text[start:end], category, severity) == ("wib\u00adble", "other", "strong")


def test_files_of_three_kinds(tmp_path: Path) -> None:
    plain, table, lines = tmp_path / "a.txt", tmp_path / "b.tsv", tmp_path / "c.jsonl"
    plain.write_text("# own words\nwibble  # a comment\n\nflorp*\n", "utf-8-sig")
    table.write_text("term\tseverity\tcategory\texceptions\nzonk\tmild\tsexual\tzonk bird; zonk tree\r\n", "utf-8")
    lines.write_text('{"term": "quux", "severity": "severe"}\n{"term": "quux dei", "severity": "allow"}\n', "utf-8")
    stage = FilterToxicity(lexicons=(str(plain), str(table), str(lines)), use_default_lexicon=False)
    assert stage.resources() == (str(plain), str(table), str(lines))
    text = "wibble florping zonk, zonk tree, quux; quux dei"
    assert [text[s:e] for s, e, *_ in stage.spans(text)] == ["wibble", "florping", "zonk", "quux"]
    assert read_lexicon(table) == [
        LexiconEntry(term="zonk", severity="mild", category="sexual", exceptions=("zonk bird", "zonk tree"))
    ]


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("a.jsonl", '{"term": "wibble"}\n{"term": "florp", "severity": "awful"}', "line 2"),
        ("a.jsonl", '{"term": "wibble", "colour": 1}', "line 1"),
        ("a.jsonl", "wibble", "line 1"),
        ("a.tsv", "term\tseverity\nwibble", "line 2"),
        ("a.txt", "wibble\n***", "line 2"),
        ("missing/a.txt", None, "cannot read"),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_not_quoted(
    tmp_path: Path, name: str, content: str | None, where: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(RecipeError, match=where) as caught:
        FilterToxicity(lexicons=(str(path),)).open()
    assert str(path) in str(caught.value)
    assert "florp" not in str(caught.value)


def test_unknown_languages_and_categories_are_refused() -> None:
    with pytest.raises(RecipeError, match="languages: no terms for 'xx'"):
        FilterToxicity(languages=("xx",)).open()
    with pytest.raises(RecipeError, match="did you mean 'sexual'"):
        FilterToxicity(categories=("sexuel",)).open()


def test_own_entries_replace_those_of_the_default(tmp_path: Path) -> None:
    (term,) = pick("en", "strong", 1)
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"term": term, "language": "en", "severity": "mild"}), "utf-8")
    assert FilterToxicity().spans(term)[0][3] == "strong"
    assert FilterToxicity(lexicons=(str(path),)).spans(term)[0][2:] == ("other", "mild")


def test_a_word_counts_where_its_language_is_plausible(tmp_path: Path) -> None:
    entries = [
        {"term": "glarp", "language": "de"},
        {"term": "blarp", "language": "de", "applies": "certain"},
        {"term": "snarp", "language": "de", "applies": "everywhere"},
    ]
    text = "glarp, blarp, snarp"
    stage = custom(tmp_path / "own.jsonl", *entries)
    assert [text[s:e] for s, e, *_ in stage.spans(text)] == ["glarp", "snarp"]
    for language, expected in (("de", ["glarp", "blarp", "snarp"]), ("en", ["snarp"]), ("nl", ["snarp"])):
        whole = text + " " + PROSE[language]
        assert [whole[s:e] for s, e, *_ in stage.spans(whole)] == expected
    asked = custom(tmp_path / "own.jsonl", *entries, languages=("de",))
    assert len(asked.spans(text + " " + PROSE["en"])) == 3


@pytest.mark.parametrize("language", PROSE)
def test_the_evidence_knows_the_languages_of_the_lexicon(language: str) -> None:
    evidence = LanguageEvidence(TermMatcher([], []).read(PROSE[language]))
    assert evidence.plausible(language)
    assert evidence.certain(language)
    others = {"zh", "ja"} if language in {"zh", "ja"} else {"en", "de", "fr", "tr", "pl", "ru", "ar", "hi"}
    assert [other for other in others - {language} if evidence.certain(other)] == []


def test_every_entry_of_the_default_lexicon_is_well_formed() -> None:
    keys = [(fold(entry.term).text, entry.language) for entry in DEFAULT]
    assert {entry.category for entry in DEFAULT} == set(CATEGORIES)
    assert all(entry.term == unicodedata.normalize("NFC", entry.term).strip() and entry.language for entry in DEFAULT)
    assert len({(entry.term.casefold(), entry.language) for entry in DEFAULT}) == len(keys)
    assert all(len(entry.term.strip("*")) >= 2 for entry in DEFAULT)
    for entry in DEFAULT:
        for word in entry.exceptions:
            assert fold(entry.term.strip("*")).text in fold(word.replace("-", " ")).text, entry


@pytest.mark.parametrize("language", PROSE)
def test_the_default_lexicon_covers_a_language(language: str) -> None:
    entries = [entry for entry in DEFAULT if entry.language == language]
    assert len(entries) >= 60
    assert {entry.category for entry in entries} >= {"slur", "sexual", "profanity", "harassment"}
    assert {entry.severity for entry in entries} == {"mild", "strong", "severe"}


def test_every_term_of_the_default_lexicon_is_found_and_every_exception_is_not() -> None:
    """Alone on a line, as its languages are named: entries that can never match are dead weight."""
    terms = [entry for entry in DEFAULT if entry.severity != "allow"]
    find = FilterToxicity(languages=tuple(sorted({e.language for e in DEFAULT}))).spans
    assert [entry.term for entry in terms if not find(entry.term.strip("*"))] == []
    matcher = TermMatcher(
        [e.term for e in terms], [e.language for e in terms], [word for e in terms for word in e.exceptions]
    )
    for number, entry in enumerate(terms):
        for word in entry.exceptions:
            assert number not in {m.term for m in matcher.find(word.strip("*"))}, entry


@pytest.mark.parametrize("language", PROSE)
def test_pages_full_of_listed_terms_go_and_the_same_pages_without_them_stay(language: str) -> None:
    stage = FilterToxicity()
    assert run(stage, PROSE[language] * 3)[0] is None
    strong = " ".join(pick(language, "strong", 12))
    drop, signals = run(stage, PROSE[language] + strong)
    assert drop is not None
    assert drop.reason in {"toxic_density", "severe_terms"}
    assert int(str(signals["toxicity_strong"])) + int(str(signals["toxicity_severe"])) >= 6
    (severe,) = pick(language, "severe", 1)
    drop, _ = run(stage, PROSE[language] + severe)
    assert drop is not None
    assert (drop.reason, drop.value, drop.limit) == ("severe_terms", 1.0, 0.0)
    (mild,) = pick(language, "mild", 1)
    assert run(stage, PROSE[language] + mild)[0] is None


IDENTITIES = {
    "en": "gay lesbian bisexual transgender trans queer woman men black white asian latino muslim jew jews jewish christian "
    "hindu immigrant refugee disabled deaf blind Roma Arab Turk Pole Russian German Mexican African Chinese Indian",
    "de": "schwul lesbisch Muslim Jude Juden Türke Türken Schwarze Behinderte Ausländer Flüchtling Frauen",
    "fr": "homosexuel lesbienne musulman juif juifs noir arabe femme handicapé immigré gitan",
    "es": "homosexual lesbiana musulmán judío judíos negro negra árabe mujer discapacitado inmigrante gitano",
    "it": "omosessuale lesbica musulmano ebreo ebrei nero donna disabile immigrato rom",
    "pt": "homossexual lésbica muçulmano judeu negro mulher deficiente imigrante cigano indígena",
    "nl": "lesbisch moslim jood zwart Marokkaan Turk vrouw gehandicapt vluchteling",
    "pl": "gej lesbijka muzułmanin Żyd Żydzi kobieta niepełnosprawny uchodźca Cygan Rom Ukrainiec",
    "ru": "гей лесбиянка мусульманин еврей евреи женщина инвалид мигрант негр цыган кавказец украинец",
    "tr": "eşcinsel lezbiyen müslüman yahudi kadın engelli göçmen mülteci kürt ermeni zenci arap",
    "ar": "مثلي مسلم مسلمة يهودي مسيحي امرأة نساء معاق لاجئ كردي شيعي سني اسود",
    "hi": "समलैंगिक मुस्लिम मुसलमान यहूदी ईसाई हिंदू दलित महिला विकलांग प्रवासी काला",
    "zh": "同性恋 同性戀 穆斯林 犹太人 黑人 女人 残疾人 移民 维吾尔族 藏族 回族 变性者",
    "ja": "同性愛者 ゲイ イスラム教徒 ユダヤ人 黒人 女性 障害者 移民 朝鮮人 韓国人 中国人 部落",
    "th": "เกย์ มุสลิม ผู้หญิง คนพิการ ลาว พม่า",
}


@pytest.mark.parametrize("language", IDENTITIES)
def test_identities_are_not_toxic(language: str) -> None:
    stage = FilterToxicity()
    assert [word for word in IDENTITIES[language].split() if stage.spans(word)] == []
    assert stage.spans(PROSE[language] + IDENTITIES[language]) == []


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe, Penistone, Essex and Middlesex; assess the classic cocktail, Shitake, Dickens and cumulative analysis.",
        "The concert by Van Dyke and a great tit, tit for tat; graduated summa cum laude; Homo sapiens in Lesbos.",
        "The Maine coon sat by the chink in the wall with a spic and span kaffir lime.",
        "git push and git commit; df.cumsum(), cum_return, ass_value and the FDP in Lund; Gogol wrote in Gandu.",
        "Die dicke Titelseite, der Wachtmeister, die Fickmühle nicht; Kassel, Assistent, Pressemitteilung, Analyse.",
        "Le retard du train, la bite d'amarrage au port, les députés et la réputation du nègre littéraire.",
        "La computadora, el cálculo, la disputa y la reputación del diputado; una polla de la granja.",
        "La guerra di Troia e il cavallo di Troia; il cassetto e la Scozia.",
        "O deputado disputa a reputação; o curso de computação e o cu­bo.",
        "Sık sık sıkıntı çeker, ışık sıktı; kıyı SIK SIK temizlenir.",
        "Хуан и Хуэй пошли в магазин; употребление, потребитель, команда, застрахуй, рубля, корабля, нигерийский.",
        "Kurczak, kurs, chujański? pedał gazu i nogę na pedały; suknia, dupleks, rachunek.",
        "妈妈的生日你妈妈来了吗？他在体操你妈妈那里学的。我操作机器，操场，穴位，小穴位，牛肉棒。",
        "国防部长操纵卫星；日本武士道；北京的交流口岸；港口交通；路口交叉；人口交换。",
        "パチンコ、マンコーラ、ホモサピエンス、フェラーリ、エロイカ、チョンユンファ、クソース。",
        "被害人と朝鮮人の証言。死ねば楽になると言った。必死ねらい。聞きちがいでした。おかまいなく。",
        "ผู้เชี่ยวชาญเอเชี่ยนเกมส์ สัสดีอำเภอ โหดเหี้ยม แม่งานวัด หีบเสียง แกงกะหรี่",
        "كسر الزجاج، بكسل، مكسب، الزبون، تكسير، اللوطن، خول له القانون ذلك، نيكولاس كيج",
        "लंदन, चूना, गाँधी, रंगीन, चूतर नहीं, साली, मूर्ति, हरामाइन",
    ],
)  # fmt: skip
def test_innocent_words_around_listed_ones_stay_innocent(text: str) -> None:
    stage = FilterToxicity()
    hits = stage.spans(text)
    assert [text[s:e] for s, e, _, severity in hits if severity != "mild"] == []
    assert run(stage, text)[0] is None


def test_the_same_document_gives_the_same_verdict_in_any_order() -> None:
    stage = opened(FilterToxicity())
    texts = [PROSE[language] + " ".join(pick(language, "strong", n)) for n, language in enumerate(PROSE)]
    first = [stage(Document(text=text)) for text in texts]
    order = list(range(len(texts)))
    random.Random(3).shuffle(order)
    again = {n: stage(Document(text=texts[n])) for n in order}
    assert [again[n] for n in range(len(texts))] == first
