"""What `correct_spelling` repairs of planted misspellings, and what it changes in texts that were left alone.

    python benchmarks/spelling_quality.py spelling_dev.jsonl.gz lid_dev.jsonl.gz english.parquet

Misspellings are JSONL with `misspelling`, `correct` and `source` (Wikipedia's list of common misspellings and Aspell's test set
are taken; the made-up ones of SymSpell are not), if the correction is one of the 20,000 most frequent words. They are planted in
place of that word, from a fixed seed: each once, and one a text. A misspelling is fixed if the very word is there again, and
damaged if another one is. What is changed in news (JSONL with `lang`, `level`, `text`) and in pages as they are is counted by
words; not all of it is wrong, because pages have misspellings too: 100 changes are shown with their context, to be judged by eye.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from corpusmill.schemas import Document
from corpusmill.stages import CorrectSpelling
from corpusmill.stages.base import Apply
from corpusmill.stages.spelling_dictionary import load_dictionary

_SEED = 20_261_130
_COMMON = 20_000
_SHOWN = 100
_LONGEST = 20_000  # characters of a text that something is planted in
_WORD = re.compile(r"(?<![\w'’-])[a-z]+(?![\w'’-])")
_SOURCES = ("Wikipedia", "Aspell")
Planted = tuple[str, int, str, str]
"""A text, a place in it, the misspelling that goes there, and the word that stands there."""


def misspellings(path: Path) -> list[tuple[str, str]]:
    """Return misspelling and correction, one lower-case word each; those that the dictionary knows too."""
    ranked = sorted(load_dictionary(None, None).words.items(), key=lambda item: -item[1])
    common = {word for word, _ in ranked[:_COMMON]}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    pairs = [(row["misspelling"], row["correct"]) for row in rows if row["source"] in _SOURCES]
    return [(wrong, right) for wrong, right in pairs if re.fullmatch("[a-z]{3,}", wrong) and right in common]


def everywhere_once(pairs: list[tuple[str, str]], texts: list[str]) -> Iterator[Planted]:
    """Yield each of *pairs* once, in a place where its correction stands."""
    chance = random.Random(_SEED)
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, text in enumerate(texts):
        for match in _WORD.finditer(text):
            places[match.group()].append((number, match.start()))
    for wrong, right in pairs:
        if places[right]:
            number, at = chance.choice(places[right])
            yield texts[number], at, wrong, right


def one_a_text(pairs: list[tuple[str, str]], texts: list[str]) -> Iterator[Planted]:
    """Yield one of *pairs* for each text, drawn by the words that it has: frequent words weigh more."""
    chance = random.Random(_SEED)
    ways: dict[str, list[str]] = defaultdict(list)
    for wrong, right in pairs:
        ways[right].append(wrong)
    for text in texts:
        found = [match for match in _WORD.finditer(text) if match.group() in ways]
        if found:
            match = chance.choice(found)
            yield text, match.start(), chance.choice(ways[match.group()]), match.group()


def outcomes(name: str, planted: Iterable[Planted], apply: Apply) -> Iterator[str]:
    """Yield rows of what became of *planted* misspellings, by their length. What changes elsewhere in the text does not count."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for text, at, wrong, right in planted:
        document = Document(text=text[:at] + wrong + text[at + len(right) :])
        apply(document)
        there = _word_at(document.text, text[:at])
        outcome = "fixed" if there == right else "left" if there == wrong else "damaged"
        for group in ("all", "3–4" if len(wrong) < 5 else "5–7" if len(wrong) < 8 else "8 and more"):
            counts[group][outcome] += 1
    for group in ("all", "3–4", "5–7", "8 and more"):
        count = counts[group].total()
        shares = " | ".join(f"{counts[group][outcome] / max(count, 1):.1%}" for outcome in ("fixed", "left", "damaged"))
        yield f"| {name} | {group} | {count} | {shares} |"


def _word_at(text: str, before: str) -> str:
    """Return the word of *text* that stands behind as many words as *before* has."""
    words = re.finditer(r"\w+", text)
    count = len(re.findall(r"\w+", before))
    for number, match in enumerate(words):
        if number == count:
            return match.group()
    return ""


def changed(name: str, texts: list[str], apply: Apply) -> tuple[str, list[str]]:
    """Return a row of what is changed in *texts*, and every change with its context."""
    words = corrected = documents = 0
    changes: list[str] = []
    for text in texts:
        document = Document(text=text)
        apply(document)
        words += len(re.findall(r"[^\W\d_]+", text))
        corrected += document.signals["corrected"]
        documents += document.text != text
        if document.text != text:
            changes += _changes(text, document.text)
    row = f"| {name} | {len(texts):,} | {words:,} | {corrected} in {documents} | {corrected / words:.4%} |"
    return row, changes


def _changes(old: str, new: str) -> Iterator[str]:
    before, after = old.split(), new.split()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False) if len(before) != len(after) else None
    if matcher is None:  # a word for a word: no need to align
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            if one != other:
                yield f"{' '.join(before[max(at - 4, 0) : at])} [{one} → {other}] {' '.join(before[at + 1 : at + 4])}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("misspellings", type=Path)
    parser.add_argument("news", type=Path)
    parser.add_argument("pages", type=Path)
    options = parser.parse_args()
    apply = CorrectSpelling().build()
    with gzip.open(options.news, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    news = [row["text"] for row in rows if row["lang"] == "en" and row["level"] == "document"]
    pages = pq.read_table(options.pages, columns=["text"]).column("text").to_pylist()
    pairs = misspellings(options.misspellings)
    texts = [text for text in news + pages if len(text) < _LONGEST]
    print("| planted | letters | count | fixed | left | damaged |\n|---|---|---:|---:|---:|---:|")
    print(*outcomes("each misspelling once", everywhere_once(pairs, texts), apply), sep="\n")
    print(*outcomes("one a text", one_a_text(pairs, texts), apply), sep="\n")
    print("\n| texts | documents | words | changed | share of words |\n|---|---:|---:|---:|---:|")
    results = [changed("clean news", news, apply), changed(options.pages.name, pages, apply)]
    print(*(row for row, _ in results), sep="\n")
    changes = [change for _, found in results for change in found]
    random.Random(_SEED).shuffle(changes)
    print(f"\n{min(_SHOWN, len(changes))} of {len(changes)} changes:\n")
    print(*(f"- {change}" for change in changes[:_SHOWN]), sep="\n")


if __name__ == "__main__":
    main()
