"""What `Decontaminate` finds, in plain Python: slow, short, and without any of its kernels."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from corpusmill.stages.characters import UNSPACED, character_table
from corpusmill.stages.evaluation_forms import cleaned_forms, joined_texts
from corpusmill.stages.references import ReferenceItem
from corpusmill.stages.signature import words

_SOUTH_EAST_ASIAN = (
    "AHOM",
    "BALINESE",
    "JAVANESE",
    "KHMER",
    "LAO",
    "MYANMAR",
    "NEW TAI LUE",
    "TAI",
    "THAI",
)
Ngram = tuple[str, ...]
Range = tuple[int, int]


def sized_words(text: str) -> list[tuple[str, int]]:
    """Each word with what it counts, in tenths of a word."""
    found = []
    for word in words(text.replace("_", " ")):
        letter = len(word) == 1 and character_table().kind(ord(word)) == UNSPACED
        found.append((word, letter_tenths(word) if letter else 10))
    return found


def letter_tenths(letter: str) -> int:
    return 2 if unicodedata.name(letter, "").startswith(_SOUTH_EAST_ASIAN) else 5


def ngrams(text: str, size: int, least: int) -> dict[Range, Ngram]:
    """The n-grams of a text by their words; a text that has none is one itself, if it has `least` words."""
    found = windows(sized_words(text), size)
    all_words = sized_words(text)
    if not found and sum(tenths for _, tenths in all_words) >= least * 10:
        found[0, len(all_words)] = tuple(word for word, _ in all_words)
    return found


def windows(all_words: list[tuple[str, int]], size: int) -> dict[Range, Ngram]:
    found = {}
    for end in range(1, len(all_words) + 1):
        first, total = end, 0
        while first > 0 and total < size * 10:
            first -= 1
            total += all_words[first][1]
        if total >= size * 10:
            found[first, end] = tuple(word for word, _ in all_words[first:end])
    return found


def says_enough(ngram: Ngram) -> bool:
    """Whether an n-gram has four distinct words, half its words if it is shorter than 7, and not numbers and letters alone."""
    plain = [
        (word.isascii() and word.isdigit()) or (len(word) == 1 and character_table().kind(ord(word)) != UNSPACED)
        for word in ngram
    ]
    return not all(plain) and len(set(ngram)) >= min(4, (len(ngram) + 1) // 2)


class PlainIndex:
    """The passages of items, compared one by one."""

    def __init__(self, items: Sequence[ReferenceItem], size: int, least: int, maximum_items: int | None = None) -> None:
        self.size = size
        distinct: dict[tuple[tuple[str, ...], ...], ReferenceItem] = {}
        for item in items:
            first, *_ = cleaned_forms(item)
            identity = tuple(
                tuple(word for word, _ in sized_words(text)) for _, texts in first.fields for text in texts
            )
            distinct.setdefault(identity, item)
        self.passages: list[tuple[str, dict[Range, Ngram]]] = []
        common: set[Ngram] = set()
        counts: dict[Ngram, int] = {}
        for item in distinct.values():
            own: set[Ngram] = set()
            for form in cleaned_forms(item):
                texts = [text for _, strings in form.fields for text in strings]
                sizes = [sum(tenths for _, tenths in sized_words(text)) for text in texts]
                for text in [*texts, *joined_texts(form, sizes, size, named=False)]:
                    grams = ngrams(text, size, least)
                    self.passages.append((item.ref, grams))
                    own |= set(grams.values())
            for ngram in own:
                counts[ngram] = counts.get(ngram, 0) + 1
                whole = sum(tenths for _, tenths in sized_words(" ".join(ngram))) < size * 10
                if maximum_items is not None and counts[ngram] > (1 if whole else maximum_items):
                    common.add(ngram)
        self.passages = [
            (ref, {at: ngram for at, ngram in grams.items() if ngram not in common and says_enough(ngram)})
            for ref, grams in self.passages
        ]

    def match(self, text: str) -> tuple[int, float, str | None]:
        """How many windows of *text* are n-grams of a passage, the share of the best passage, and whose it is."""
        all_words = sized_words(text)
        present = windows(all_words, self.size)
        wanted = {ngram for _, grams in self.passages for ngram in grams.values()}
        for length in {len(ngram) for ngram in wanted}:
            for end in range(length, len(all_words) + 1):
                there = all_words[end - length : end]
                if sum(tenths for _, tenths in there) < self.size * 10:
                    present[end - length, end] = tuple(word for word, _ in there)
        hits = [ngram for ngram in present.values() if ngram in wanted]
        best: tuple[float, int, str | None] = (0.0, 0, None)
        for ref, grams in self.passages:
            covered = {at for place, ngram in grams.items() if ngram in hits for at in range(*place)}
            coverable = {at for place in grams for at in range(*place)}
            if covered and (len(covered) / len(coverable), len(covered)) > best[:2]:
                best = (len(covered) / len(coverable), len(covered), ref)
        return len(hits), best[0], best[2]
