"""The words and pairs of words of a language with their counts, and the likeliest correction of a word between two others.

symspellpy finds the words one edit away, and brings lists of English words (82,765) and pairs (243,342). Pairs decide what a
count alone cannot: `wtih` is `with` rather than `wish` between `agree` and `the`.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from importlib.resources import files
from math import log10
from pathlib import Path
from typing import Any, NamedTuple

from corpusmill.schemas import RecipeError

__all__ = ["Candidate", "Dictionary", "load_dictionary"]

_ENGLISH_WORDS, _ENGLISH_PAIRS = "frequency_dictionary_en_82_765.txt", "frequency_bigramdictionary_en_243_342.txt"


class Candidate(NamedTuple):
    """A word that another may have been meant to be."""

    word: str
    frequency: int
    rank: int
    """How many words of the dictionary are more frequent."""


class Dictionary:
    """Words with their counts, pairs of words with theirs (none, if there is no list of them), and what is one edit away."""

    def __init__(self, speller: Any, pairs: dict[str, int]) -> None:
        self._speller = speller
        self.words: dict[str, int] = speller.words
        self.pairs = pairs
        counts = sorted(self.words.values(), reverse=True)
        self._rank = {count: rank for rank, count in reversed(list(enumerate(counts)))}

    def common(self, words: int) -> set[str]:
        """Return the *words* most frequent words, and those as frequent as the last of them."""
        return {word for word, count in self.words.items() if self._rank[count] < words}

    @property
    def letters(self) -> Collection[str]:
        """The letters that its words are made of."""
        return sorted({letter for word in self.words for letter in word if letter.isalpha() and letter.islower()})

    def near(self, word: str) -> list[Candidate]:
        """Return the words one edit away from *word* (an insertion, deletion, substitution or swap of neighbours)."""
        from symspellpy import Verbosity

        found = self._speller.lookup(word, Verbosity.ALL, max_edit_distance=1)
        return [Candidate(item.term, item.count, self._rank[item.count]) for item in found if item.term != word]

    def support(self, before: str, word: str, after: str) -> tuple[int, float]:
        """Return how many of the pairs with the words before and after are listed, and the sum of the logarithms of counts."""
        counts = self.pairs.get(f"{before} {word}", 0), self.pairs.get(f"{word} {after}", 0)
        return sum(count > 0 for count in counts), sum(log10(1 + count) for count in counts)


def load_dictionary(words: str | None, pairs: str | None) -> Dictionary:
    """Return the dictionary in the file *words* with the pairs in the file *pairs*; the English one if *words* is None.

    Raises:
        RecipeError: symspellpy is not installed, or a file is not there or not a list.

    """
    try:
        import symspellpy
    except ImportError:
        raise RecipeError(
            "correct_spelling needs symspellpy, which is not installed; type: pip install 'corpusmill[spelling]'"
        ) from None
    if words is None:
        folder = files(symspellpy)
        return _bundled(str(folder.joinpath(_ENGLISH_WORDS)), pairs or str(folder.joinpath(_ENGLISH_PAIRS)))
    return _read(words, pairs)


def _read(words: str, pairs: str | None) -> Dictionary:
    from symspellpy import SymSpell

    speller = SymSpell(max_dictionary_edit_distance=1, prefix_length=7)
    if not Path(words).is_file():
        raise RecipeError(f"correct_spelling.dictionary: there is no file {words!r}")
    if not speller.load_dictionary(words, 0, 1, encoding="utf-8") or not speller.words:
        raise RecipeError(f"correct_spelling.dictionary: {words!r} has no line of the form `word count`")
    return Dictionary(speller, _read_pairs(pairs) if pairs else {})


def _read_pairs(path: str) -> dict[str, int]:
    if not Path(path).is_file():
        raise RecipeError(f"correct_spelling.pairs: there is no file {path!r}")
    found = {}
    with Path(path).open(encoding="utf-8-sig") as lines:
        for line in lines:
            pair, _, count = line.strip().rpartition(" ")
            if pair.count(" ") == 1 and count.isdecimal():
                found[pair] = int(count)
    if not found:
        raise RecipeError(f"correct_spelling.pairs: {path!r} has no line of the form `word word count`")
    return found


_bundled = lru_cache(maxsize=1)(_read)  # 0.9 s, and the files do not change; a user's may
