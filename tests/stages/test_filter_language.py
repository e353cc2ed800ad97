"""Language identification: engines, groups, scores, settings, and hostile text. Golden cases are in tests/cases."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from corpusmill.schemas import Document, Drop, RecipeError, signal_column
from corpusmill.stages import language_engines, language_samples
from corpusmill.stages.filter_language import FilterLanguage
from corpusmill.stages.language_engines import ALIASES, LABELS
from corpusmill.stages.language_samples import prepared, sample

ENGLISH = (
    "The miller says that the flour is coarser than what people buy in town, but the bakers come back every week. "
)
GERMAN = "Der Müller sagt, sein Mehl sei gröber als das aus der Stadt, aber die Bäcker holen es jede Woche bei ihm ab. "
FRENCH = "Le meunier dit que sa farine est plus grossière que celle de la ville, mais les boulangers y reviennent. "
CROATIAN = (
    "Mlinar kaže da je njegovo brašno grublje od onoga koje se kupuje u gradu, ali pekari se svakog tjedna vraćaju. "
)
INDONESIAN = (
    "Penggiling itu berkata bahwa tepungnya lebih kasar daripada yang dijual di kota, tetapi tukang roti datang. "
)

Judge = Callable[[str], tuple[dict[str, Any], "Drop | None"]]


def judge_with(**settings: Any) -> Judge:
    apply = FilterLanguage(**settings).build()

    def judge(text: str) -> tuple[dict[str, Any], Drop | None]:
        document = Document(text=text)
        result = apply(document)
        assert document.text == text
        return document.signals, result if isinstance(result, Drop) else None

    return judge


@pytest.fixture(scope="module")
def judge() -> Judge:
    return judge_with()


@pytest.fixture(scope="module")
def detect() -> Judge:
    return judge_with(engine="langdetect")


def test_labels_are_those_of_the_engines() -> None:
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    assert set(LanguageIdentifier.from_model_file(MODEL_FILE).labels) == set(LABELS["py3langid"])
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    assert {code.partition("-")[0] for code in factory.get_lang_list()} == set(LABELS["langdetect"])


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (GERMAN, "de"), (FRENCH, "fr")])
def test_both_engines_are_sure_of_one_sentence(judge: Judge, detect: Judge, text: str, language: str) -> None:
    for ask in (judge, detect):
        signals, drop = ask(text)
        assert (signals["language"], drop) == (language, None)
        assert signals["language_score"] > 0.95


def test_close_relatives_are_scored_together(judge: Judge) -> None:
    signals, drop = judge(CROATIAN * 2)
    assert signals["language"] in {"hr", "bs"}
    assert signals["language_score"] > 0.9  # the larger half alone is about 0.6
    assert signals["second_language"] not in {"hr", "bs", "sr"}
    assert drop is None
    signals, _ = judge(INDONESIAN)
    assert signals["language"] in {"id", "ms"}
    assert signals["language_score"] > 0.9


def test_second_language_shows_a_mixed_page(judge: Judge) -> None:
    signals, _ = judge(GERMAN * 3 + FRENCH * 3)
    assert {signals["language"], signals["second_language"]} == {"de", "fr"}
    assert signals["second_language_score"] > 0.0


def test_limits_do_not_change_what_is_measured() -> None:
    expected, _ = judge_with()(CROATIAN)
    for settings in (
        {"keep": ("en",)},
        {"minimum_score": 1.0},
        {"strict_groups": True, "keep": ("hr",)},
        {"minimum_scores": ("hr=1",)},
    ):
        assert judge_with(**settings)(CROATIAN)[0] == expected


def test_drops_say_what_was_found() -> None:
    _, drop = judge_with(keep=("en",))(GERMAN)
    assert drop is not None
    assert (drop.reason, drop.limit, drop.ref) == ("language", None, "de")
    signals, drop = judge_with(minimum_score=0.0, minimum_scores=("id=1.0",))(INDONESIAN[:40])
    assert signals["language"] == "id"
    assert signals["language_score"] < 1
    assert drop == Drop("low_score", signals["language_score"], 1.0, "id")
    _, drop = judge_with(minimum_score=0.0)("??? 123")
    assert drop == Drop("not_text", 1.0, None, "zxx")


def test_undetermined_text_is_uncertain_and_not_foreign() -> None:
    assert judge_with(keep=("en",))("ok")[1] == Drop("low_score", 0.0, 0.5, "und")
    assert judge_with(keep=("en",), minimum_score=0.0)("ok")[1] == Drop("low_score", 0.0, 0.0, "und")
    assert judge_with(minimum_score=0.0)("ok")[1] is None


def test_langdetect_depends_on_nothing_else(detect: Judge) -> None:
    texts = [ENGLISH[:24], GERMAN[:20], FRENCH[:17], "tu me a", "na ja", CROATIAN[:12], ENGLISH[:8] + GERMAN[:8]]
    alone = [judge_with(engine="langdetect")(text)[0] for text in texts[:2]]
    once = [detect(text)[0] for text in texts]
    random.seed(1)
    again = [detect(text)[0] for text in reversed(texts)][::-1]
    assert once == again
    assert once[:2] == alone


def test_langdetect_is_the_same_in_another_process(detect: Judge) -> None:
    texts = [ENGLISH[:24], "tu me a", "na ja"]
    script = (
        "from corpusmill.schemas import Document\n"
        "from corpusmill.stages.filter_language import FilterLanguage\n"
        "apply = FilterLanguage(engine='langdetect').build()\n"
        f"for text in {texts!r}:\n"
        "    d = Document(text=text); apply(d); print(d.signals)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert out.stdout.splitlines() == [str(detect(text)[0]) for text in texts]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"keep": ("english",)}, "keep: py3langid does not know the language 'english'"),
        ({"keep": ("ger",)}, "did you mean 'ge|did you mean"),
        ({"keep": ("yo",), "engine": "langdetect"}, "langdetect does not know the language 'yo'"),
        ({"keep": ("bs",), "engine": "langdetect", "strict_groups": True}, "does not know the language 'bs'"),
        ({"minimum_scores": ("xx=0.5",)}, "minimum_scores: py3langid does not know"),
        ({"minimum_scores": ("de",)}, "expected 'de=0.7'"),
        ({"minimum_scores": ("de=1.5",)}, "expected 'de=0.7'"),
        ({"minimum_scores": ("de=nan",)}, "expected 'de=0.7'"),
        ({"minimum_score": 2.0}, "minimum_score"),
        ({"engine": "fasttext"}, "engine"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        FilterLanguage(**settings)


def test_pycld2_answers_shares_of_the_text() -> None:
    pytest.importorskip("pycld2", reason="the extra pycld2 is not installed")
    judge = judge_with(engine="pycld2")
    signals, drop = judge(GERMAN * 2 + FRENCH * 2)
    assert {signals["language"], signals["second_language"]} == {"de", "fr"}
    assert signals["language_score"] + signals["second_language_score"] > 0.95
    assert drop is None
    for text, language in (
        (ENGLISH.upper(), "en"),
        (f"\x01{FRENCH}\ufffe\x07", "fr"),
        ("村边的水磨坊建于1782年，", "zh"),
    ):
        assert judge(text)[0]["language"] == language
    assert judge("שלום לכולם, זה טקסט בעברית")[0]["language"] == "he"
    assert judge("12 34")[1] == Drop("not_text", 1.0, None, "zxx")
    assert (
        judge_with(engine="pycld2", keep=("mi",))("Kei te taha o te kāinga te mira wai, i hangaia i te tau 1782.")[1]
        is None
    )


def test_labels_are_those_of_pycld2() -> None:
    cld = pytest.importorskip("pycld2", reason="the extra pycld2 is not installed")
    codes = {code for name, code in cld.LANGUAGES if name in cld.DETECTED_LANGUAGES}
    ours = {ALIASES.get(code, code) for code in codes if not code.startswith(("xx-", "zz")) and code != "tlh"}
    assert ours == set(LABELS["pycld2"])


def test_an_engine_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_engines, "find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"pip install 'corpusmill\[pycld2\]'"):
        FilterLanguage(engine="pycld2").open()


@pytest.mark.parametrize("engine", ["py3langid", "langdetect"])
def test_batches_are_judged_like_documents(engine: str) -> None:
    texts = [
        ENGLISH,
        GERMAN.upper(),
        "",
        "1 2",
        "ok",
        CROATIAN,
        FRENCH + GERMAN,
        "e\u0301" + FRENCH,
        INDONESIAN[:40],
        None,
    ]
    settings: dict[str, Any] = {"engine": engine, "keep": ("en", "hr", "de"), "minimum_scores": ("de=1.0",)}
    batch = pa.record_batch({"text": pa.array(texts), "language": pa.array(["old"] * len(texts))})
    out, verdicts = FilterLanguage(**settings).judge(batch)
    for row, text in enumerate(texts):
        signals, drop = judge_with(**settings)(text or "")
        assert verdicts[row].as_py() == (None if drop is None else msgspec.structs.asdict(drop))
        for name, value in signals.items():
            found = out.column(signal_column(name))[row].as_py()
            assert found == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value)


def test_bosnian_croatian_and_serbian_are_one_unless_asked_otherwise() -> None:
    for wanted in ("hr", "bs", "sr"):
        assert judge_with(keep=(wanted,))(CROATIAN * 2)[1] is None
    assert judge_with(keep=("sr",), strict_groups=True)(CROATIAN * 2)[1] is not None


def test_a_sentence_of_each_engines_languages_in_capitals_and_in_a_menu(judge: Judge) -> None:
    """A floor for quality: text written for this project, whole, in capitals, and between English menus."""
    menu = "Home About us Contact Products Services Blog Careers Press Log in Register Cart Search Help Sitemap\n"
    paths = sorted((Path(__file__).parent.parent / "cases" / "filter_language").glob("negative.json"))
    cases = [case for path in paths for case in json.loads(path.read_text("utf-8"))]
    documents = [case for case in cases if case["label"].startswith("document-")]
    assert len(documents) > 8
    for case in documents:
        text, language = case["input"]["text"], case["signals"]["language"]
        for form in (text, text.upper(), menu + text + menu, text[:200], menu + text[:300]):
            signals, drop = judge(form)
            assert (signals["language"], drop) == (language, None), form


def test_settings_are_values() -> None:
    left, right = (FilterLanguage(keep=("en", "nb"), minimum_scores=("de=0.7",)) for _ in range(2))
    assert left == right
    assert hash(left) == hash(right)
    assert FilterLanguage(keep=("bs",), engine="langdetect").keep == ("bs",)  # by way of its relatives


def test_sample_takes_beginning_middle_and_end() -> None:
    text = "a" * 1000 + "b" * 1000 + "c" * 1000
    assert sample(text, 30) == "a" * 5 + " " + "b" * 20 + " " + "c" * 5
    assert sample(text, 3000) == text


@pytest.mark.parametrize("engine", ["py3langid", "langdetect", "pycld2"])
def test_sampling_looks_past_menus(engine: str) -> None:
    if engine == "pycld2":
        pytest.importorskip("pycld2", reason="the extra pycld2 is not installed")
    menu = "Home About us Contact Products Services Blog Careers Press Login Register Cart Search Help Sitemap " * 5
    judge = judge_with(engine=engine, keep=("de",))
    for text in (menu + GERMAN * 40, GERMAN * 40 + menu, menu + GERMAN * 9 + menu):
        assert judge(text)[0]["language"] == "de"
        assert judge(text)[1] is None


def test_mostly_capitals_are_lowered() -> None:
    assert prepared("ACHTUNG, NEUE ÖFFNUNGSZEITEN ab Mai") == "achtung, neue öffnungszeiten ab mai"
    assert prepared("Neue Zeiten") == "Neue Zeiten"


@pytest.mark.parametrize("run", ["\u0301\u0316", "\u0344", "\u05b0\u0591\u0301"])
def test_marks_out_of_order_are_cut_before_they_are_put_in_order(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []

    class Normalization:
        is_normalized = staticmethod(unicodedata.is_normalized)

        @staticmethod
        def normalize(form: Any, text: str) -> str:
            lengths.append(len(text))
            return unicodedata.normalize(form, text)

    monkeypatch.setattr(language_samples, "unicodedata", Normalization)
    text = f"Neue Zeiten{run * 50_000} und mehr."
    assert prepared(text) == unicodedata.normalize("NFC", f"Neue Zeiten{(run * 30)[:30]} und mehr.")
    assert sum(lengths) <= 100


def test_marks_in_order_stay_as_they_are() -> None:
    text = f"Neue Zeiten{chr(0x316) * 500}{chr(0x315) * 500}"
    assert prepared(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "\n" * 10_000,
        "a" * 1_000_000,
        "a." * 400_000 + "@",
        "@" * 500_000,
        "\u0378\U000e0fff" * 1000,
        "\u0301" * 5000,
    ],
)
def test_odd_text_is_judged_and_not_fatal(judge: Judge, detect: Judge, text: str) -> None:
    for ask in (judge, detect):
        signals, drop = ask(text)
        assert set(signals) == set(FilterLanguage.signals)
        assert drop is None or drop.reason in FilterLanguage.reasons
