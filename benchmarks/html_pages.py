"""Pages with the text that people marked as their content, the folds they fall into, and how an extraction is scored.

The files are JSON lines, packed by gzip, one page each: `id`, `url`, `html`, `gold` (the content) and, where known, `page_type`
and `lang`. They are given by path, because pages are their sites' copyright and are no part of this project.

The metric is that of scrapinghub's article-extraction-benchmark: what two texts have in common is counted in runs of four words.
Chinese, Japanese, Korean and Thai go by character, since they do not write blanks between words: without that a whole Chinese
sentence is one word, and one lost comma costs it. ROUGE-L was rejected: on six sets it ranks extractors as this metric does
(trafilatura .965 and .966 on news), and its time grows with the product of the lengths.

Only the standard library is used: this module is also imported in the environments of the peers.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import statistics
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "Grams",
    "Page",
    "Score",
    "Summary",
    "evenly_spaced",
    "fold_of",
    "grams",
    "host_of",
    "interval",
    "read_pages",
    "score",
    "summarise",
    "words",
]

Grams = Counter[tuple[str, ...]]
"""Runs of four words, and how often each occurs."""

_RUN = 4
_DRAWS = 2000
_SEED = 20261121
_SINGLE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f"  # kana, ideographs, Hangul, Thai
_WORD = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+")
_LANGUAGES = {"chinese": "zh", "english": "en", "greek": "el", "polish": "pl", "russian": "ru"}
_SECOND_LEVEL = re.compile("ac|co|com|edu|go|gob|gouv|gov|id|ltd|me|mil|ne|net|nom|or|org|plc|sch|web")
_HTML_TAG = re.compile(r"<html\b[^>]{0,2000}", re.IGNORECASE)
_LANG = re.compile(r"""\s(?:xml:)?lang\s*=\s*["']?([a-z]{2,3})\b""", re.IGNORECASE)
_ADDRESS = re.compile(r"""<(?:link|meta)\b[^>]*\b(?:canonical|og:url)\b[^>]*""", re.IGNORECASE)
_HREF = re.compile(r"""(?:href|content)\s*=\s*["']?(https?://[^"'\s>]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """One page. `gold` is None where nobody marked the content; such a page can be timed and not scored."""

    id: str
    dataset: str
    url: str | None
    html: str
    gold: str | None
    page_type: str | None
    lang: str | None

    @property
    def name(self) -> str:
        """The name of the page among those of all sets."""
        return f"{self.dataset}/{self.id}"


def read_pages(path: Path) -> Iterator[Page]:
    """Yield the pages of a file, in its order; the set is called what the file is called, up to the first dot.

    Surrogates without their partner, which cannot be written as UTF-8, become question marks: every system gets the same page.
    The language is that of the record or of the `lang` attribute, as a code of two or three letters.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:  # U+2028 and the like end no line
        for line in lines:
            yield _page(json.loads(line), path.name.partition(".")[0])


def _page(record: dict[str, Any], dataset: str) -> Page:
    html = record.get("html") or ""
    try:
        html.encode()
    except UnicodeEncodeError:
        html = html.encode("utf-8", "replace").decode()
    gold = record.get("gold") or ""
    return Page(
        id=str(record["id"]),
        dataset=dataset,
        url=record.get("url") or None,
        html=html,
        gold=gold if _WORD.search(gold) else None,
        page_type=record.get("page_type") or None,
        lang=_language(record.get("lang") or "", html),
    )


def _language(given: str, html: str) -> str | None:
    if given:
        return _LANGUAGES.get(given.lower(), given.lower())
    tag = _HTML_TAG.search(html)
    found = _LANG.search(tag[0]) if tag else None
    return found[1].lower() if found else None


def evenly_spaced(paths: Sequence[Path], count: int) -> list[Page]:
    """Return *count* pages at even distances over all the files, one after the other; all of them if there are fewer."""
    total = 0
    for path in paths:
        with gzip.open(path, "rb") as lines:
            total += sum(1 for _ in lines)
    wanted = {number * total // count for number in range(min(count, total))} if count < total else set(range(total))
    pages = (page for path in paths for page in read_pages(path))
    return [page for number, page in enumerate(pages) if number in wanted]


def host_of(page: Page) -> str:
    """Return whose page it is: the registered part of the host of its URL, or of the URL that it gives as its own.

    Subdomains count as one host (`a.example.co.uk` is `example.co.uk`), since they share templates: a model that has seen
    one has seen the other. In place of the list of public suffixes there is a rule, wrong towards hosts that are too large
    (all blogs of one provider). A page without any URL is a host of its own.
    """
    host = _host(page.url or "") or _host(_own_address(page.html))
    if not host:
        return page.name
    labels = host.split(".")
    if len(labels) < 3 or labels[-1].isdigit():
        return host
    suffix = 2 if len(labels[-1]) == 2 and _SECOND_LEVEL.fullmatch(labels[-2]) else 1
    return ".".join(labels[-suffix - 1 :])


def _host(url: str) -> str:
    try:
        return (urlsplit(url if "//" in url else f"//{url}").hostname or "").strip(".")
    except ValueError:  # brackets that hold no address
        return ""


def _own_address(html: str) -> str:
    for tag in _ADDRESS.finditer(html):
        if found := _HREF.search(tag[0]):
            return found[1]
    return ""


def fold_of(host: str, folds: int) -> int:
    """Return the fold of a host, 0 to *folds* - 1: the same on every machine, whatever other pages there are."""
    return zlib.crc32(host.encode()) % folds


def words(text: str) -> list[str]:
    """Return the words of *text* in lower case; scripts without blanks between words give one per character.

    >>> words("Two WORDS, 漢字")
    ['two', 'words', '漢', '字']
    """
    return _WORD.findall(text.lower())


def grams(text: str) -> Grams:
    """Return the runs of four words of *text*; a shorter text is one run, and one without words has none."""
    found = words(text)
    starts = range(max(1, len(found) - _RUN + 1)) if found else range(0)
    return Counter(tuple(found[at : at + _RUN]) for at in starts)


@dataclass(frozen=True)
class Score:
    """How one output agrees with the marked content, 0 to 1. An output without words has no precision, and F1 0."""

    precision: float | None
    recall: float
    f1: float


def score(output: str, gold: Grams) -> Score:
    """Score an output against the runs of the marked content, each run as often as it occurs.

    >>> score("a b c d e", grams("a b c d"))
    Score(precision=0.5, recall=1.0, f1=0.6666666666666666)
    >>> score("", grams("a b c d"))
    Score(precision=None, recall=0.0, f1=0.0)
    """
    found = grams(output)
    if not found:
        return Score(None, 0.0, 0.0)
    common = sum(min(count, gold[run]) for run, count in found.items() if run in gold)
    precision, recall = common / found.total(), common / max(1, gold.total())
    return Score(precision, recall, _harmonic(precision, recall))


@dataclass(frozen=True)
class Summary:
    """The scores of many pages: `precision` is the mean over pages with an output, `f1` that of the two means."""

    pages: int
    empty: int
    precision: float
    recall: float
    f1: float
    page_f1: float
    """The mean of the pages' F1, in which a page without output counts as 0."""


def summarise(scores: Iterable[Score]) -> Summary:
    """Return the means of *scores*; all 0 if there are none."""
    scores = list(scores)
    precisions = [one.precision for one in scores if one.precision is not None]
    precision = statistics.fmean(precisions) if precisions else 0.0
    recall = statistics.fmean(one.recall for one in scores) if scores else 0.0
    page_f1 = statistics.fmean(one.f1 for one in scores) if scores else 0.0
    empty = len(scores) - len(precisions)
    return Summary(len(scores), empty, precision, recall, _harmonic(precision, recall), page_f1)


def interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean difference of two systems over the same pages, and the 95 % interval of its paired bootstrap.

    2,000 draws of as many pages as there are, with a fixed seed. Pages of one site are alike, so the true interval is wider
    where a set has few sites.
    """
    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    if not differences:
        return 0.0, 0.0, 0.0
    draw = random.Random(_SEED).choices
    means = sorted(sum(draw(differences, k=len(differences))) / len(differences) for _ in range(_DRAWS))
    low, high = means[round(0.025 * _DRAWS)], means[round(0.975 * _DRAWS) - 1]
    return statistics.fmean(differences), low, high


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0
