"""How a text falls apart into words, lines, paragraphs and sentences: in one place, so that all quality rules agree.

Words are runs of non-white space. A linguistic tokenizer was rejected: spaCy's English one runs at 0.6 MB/s a core
where `str.split` takes no time that shows, and no single tokenizer speaks every language of a crawl.

Scripts without spaces would make a whole sentence one word. There a word is a fixed number of characters: two in
Chinese and Japanese, five in Thai, Lao, Khmer, Burmese and Tibetan. Against the English words of the same translated
news sentences, Chinese has 1.6 characters to a word, Japanese 2.5, Thai and Lao 5.1, Khmer 6.3, Tibetan 6.8 and
Burmese 7.2. A count of words, not a segmentation, is all that the rules need.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

__all__ = [
    "BULLETS",
    "CLOSERS",
    "EAST_ASIAN",
    "EDGES",
    "SENTENCE_ENDS",
    "SOUTH_EAST_ASIAN",
    "STOPS",
    "TERMINAL_PUNCTUATION",
    "VIRAMAS",
    "Words",
    "words_of",
]

# Bopomofo, kana, Han with extensions, Yi: about two characters a word.
EAST_ASIAN = "\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c"
EAST_ASIAN += "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
# Thai, Lao, Tibetan, Myanmar, Khmer, New Tai Lue, Tai Tham: letters and signs together, about five a word.
SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e4e\u0e81-\u0edf\u0f40-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u1980-\u19df\u1a20-\u1a7f"
)
_CHARACTERS_PER_WORD = {"east": 2, "south_east": 5}

_UNSPACED = re.compile(f"[{EAST_ASIAN}{SOUTH_EAST_ASIAN}]")
_EAST = re.compile(f"[{EAST_ASIAN}]")
_PIECE = re.compile(rf"[{EAST_ASIAN}{SOUTH_EAST_ASIAN}]|[^\W_{EAST_ASIAN}{SOUTH_EAST_ASIAN}]+")

EDGES = (
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»‹›“”„‟‘’‚‛–—―…·•¡¿§¶、。，．！？：；（）「」『』【】〈〉《》〔〕।॥؟،؛۔։።፣՝՞"
)
VIRAMAS = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"  # Devanagari to Sinhala
TERMINAL_PUNCTUATION = ".!?…\"'”’»」』。．！？｡।॥؟۔։።፧။។༎"
"""Last characters of a finished line: full stops, marks and closing quotes of the larger scripts."""
BULLETS = "•‣⁃◦▪▫■□●○◆◇▶►▸·∙–-*"
"""First characters of a list item."""

SENTENCE_ENDS = ".!?…"
"""Marks that end a sentence at the end of a line or before white space, where at most three of `CLOSERS` are between."""
CLOSERS = "\"'”’»)]"
STOPS = "。．！？｡।॥؟۔։።፧။។༎"
"""Marks that end a sentence wherever they are."""


@dataclass(slots=True)
class Words:
    """The words of one text, split once and measured by many rules.

    `units` are what n-grams are made of: the words without punctuation around them, or single characters where the
    script has no spaces; `per_word` is how many units of this text make a word (1, 2 or 5).
    """

    units: list[str] = field(default_factory=list)
    per_word: int = 1
    count: float = 0.0
    """Words with a letter or digit; characters of unspaced scripts are divided by the characters in a word."""
    tokens: float = 0.0
    """The words and, besides, the runs that are all punctuation or symbols."""
    alphabetic: float = 0.0
    """Words with at least one letter."""
    spaced: int = 0
    """Words of scripts that use spaces: those whose length means something."""
    spaced_characters: int = 0
    """Characters of those words, punctuation around them left out; a Hangul syllable is a block of letters and counts
    two."""
    latin: int = 0
    """Words that begin with a Latin letter."""
    vocabulary: set[str] = field(default_factory=set)
    """The distinct words that begin with a Latin letter."""

    @property
    def mean_length(self) -> float | None:
        """Characters per word; None where most of the text has no spaces between words."""
        return self.spaced_characters / self.spaced if self.spaced and self.spaced * 2 >= self.count else None


def words_of(text: str) -> Words:
    """Split *text* into words.

    >>> words_of("The mill, built in 1870 – it stands.").units
    ['The', 'mill', 'built', 'in', '1870', 'it', 'stands']
    >>> chinese = words_of("水车磨坊建于1870年，至今仍在。")
    >>> chinese.count, chinese.per_word, chinese.mean_length
    (6.5, 2, None)
    """
    tokens, east, south_east = _tokens(text)
    words = Words()
    stripped: dict[str, str] = {}
    spaced = characters = alphabetic = symbols = 0
    for token, times in Counter(tokens).items():
        if len(token) == 1 and _UNSPACED.match(token):
            stripped[token] = token
            continue
        word = token.strip(EDGES)
        if word.isalpha() or any(map(str.isalpha, word)):
            alphabetic += times
            if word[0] < "\u0250" or "\u1e00" <= word[0] <= "\u1eff":
                words.latin += times
                words.vocabulary.add(word)
        elif not any(map(str.isalnum, word)):
            symbols += times
            continue
        stripped[token] = word
        spaced += times
        characters += times * (len(word) if word.isascii() else _length(word))
    words.spaced, words.spaced_characters = spaced, characters
    unspaced = east / _CHARACTERS_PER_WORD["east"] + south_east / _CHARACTERS_PER_WORD["south_east"]
    words.count = spaced + unspaced
    words.tokens = words.count + symbols
    words.alphabetic = alphabetic + unspaced
    if east + south_east > spaced:
        words.per_word = _CHARACTERS_PER_WORD["east" if east > south_east else "south_east"]
    words.units = [stripped[token] for token in tokens if token in stripped]
    return words


def _tokens(text: str) -> tuple[list[str], int, int]:
    """Return the runs of non-white space, unspaced scripts taken apart, and how many such characters there are."""
    chunks = text.split()
    if text.isascii() or not _UNSPACED.search(text):
        return chunks, 0, 0
    tokens: list[str] = []
    for chunk in chunks:
        if _UNSPACED.search(chunk):
            # Punctuation inside such a run is no token of its own: it has no spaces around it to make it one.
            tokens += _PIECE.findall(chunk)
        else:
            tokens.append(chunk)
    unspaced, east = len(_UNSPACED.findall(text)), len(_EAST.findall(text))
    return tokens, east, unspaced - east


def _length(word: str) -> int:
    """Return the characters of *word* as its readers would count them: signs that only join letters count nothing.

    >>> _length("മാധ്യമപ്രവർത്തകർ"), _length("물레방아")
    (13, 8)
    """
    length = len(word)
    if "\uac00" <= word[0] <= "\ud7a3":
        length += sum("\uac00" <= c <= "\ud7a3" for c in word)
    elif "\u0900" <= word[0] <= "\u0dff":
        length -= sum(c in VIRAMAS for c in word)
    return length
