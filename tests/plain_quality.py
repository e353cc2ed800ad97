"""What `FilterQuality` measures and edits, in plain Python: slow, short, and without any of its kernels.

Repeated n-grams are found as the kernel finds them, by refinement; tests/stages/test_filter_quality.py has the plainer way too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from corpusmill.stages.function_words import FUNCTION_WORDS
from corpusmill.stages.quality_rules import LineRule
from corpusmill.stages.text_units import (
    BULLETS,
    CLOSERS,
    EAST_ASIAN,
    EAST_ASIAN_WORD,
    EDGES,
    SENTENCE_ENDS,
    SOUTH_EAST_ASIAN,
    SOUTH_EAST_ASIAN_WORD,
    STOPS,
    TERMINAL_PUNCTUATION,
    VIRAMAS,
)

Value = float | int | None

_UNSPACED = re.compile(f"[{EAST_ASIAN}{SOUTH_EAST_ASIAN}]")
_EAST = re.compile(f"[{EAST_ASIAN}]")
_PIECE = re.compile(rf"[{EAST_ASIAN}{SOUTH_EAST_ASIAN}]|[^\W_{EAST_ASIAN}{SOUTH_EAST_ASIAN}]+")
_ELLIPSIS = re.compile(r"\.{3,}|…+")
UNITS_MEASURED = 100_000
_SHORT_LINE = 30
# One character before the end is looked at, not the whole run, so that a megabyte of dots stays linear.
_SENTENCE_END = re.compile(rf"[{SENTENCE_ENDS}][{re.escape(CLOSERS)}]{{0,3}}(?=\s|$)|[{STOPS}]")
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {
    word: tuple(language for language, listed in FUNCTION_WORDS.items() if word in listed.split())
    for listed in FUNCTION_WORDS.values()
    for word in listed.split()
}
_CITATION = re.compile(r"\[(?:\d{0,4}|edit|citation needed)\]")
_JAVASCRIPT = re.compile("javascript", re.IGNORECASE | re.ASCII)
_POLICY = re.compile(
    "terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies", re.IGNORECASE | re.ASCII
)
_FEWEST_LINE_WORDS = 3
_LONGEST_WORD = 1000


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
    unspaced = east / EAST_ASIAN_WORD + south_east / SOUTH_EAST_ASIAN_WORD
    words.count = spaced + unspaced
    words.tokens = words.count + symbols
    words.alphabetic = alphabetic + unspaced
    if east + south_east > spaced:
        words.per_word = EAST_ASIAN_WORD if east > south_east else SOUTH_EAST_ASIAN_WORD
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


def measure(text: str, families: frozenset[str]) -> dict[str, Value]:
    """Return the value of every signal of the *families*; None where a text has nothing to measure.

    >>> measure("One fish, two fish.", frozenset({"words"}))["words"]
    4
    """
    words = words_of(text) if families & {"words", "lines", "repetition"} else Words()
    lines = lines_of(text) if families & {"lines", "page"} else []
    measured: dict[str, Value] = {}
    if "words" in families:
        measured |= _word_values(text, words)
    if "lines" in families:
        measured |= _line_values(text, lines, words)
    if "page" in families:
        measured |= _page_values(text, lines)
    if "repetition" in families:
        measured |= repetition(words.units[:UNITS_MEASURED], _characters_measured(text, words), words.per_word)
    return measured


def _characters_measured(text: str, words: Words) -> int:
    """Return how many characters of *text* the measured units stand for, the space around them included."""
    return len(text) if len(words.units) <= UNITS_MEASURED else len(text) * UNITS_MEASURED // len(words.units)


def lines_of(text: str) -> list[str]:
    r"""Return the lines of *text* that are not blank, without white space around them.

    Blank lines are no lines: counted as such they were "duplicates" of each other and sank well-spaced documents
    (datatrove #273).

    >>> lines_of("one\n\n  two \r\n")
    ['one', 'two']
    """
    return [line for line in map(str.strip, text.splitlines()) if line]


def paragraphs_of(text: str) -> list[str]:
    r"""Return the groups of lines that blank lines separate.

    >>> paragraphs_of("one\ntwo\n\n \nthree")
    ['one\ntwo', 'three']
    """
    paragraphs: list[str] = []
    group: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line:
            group.append(line)
        elif group:
            paragraphs.append("\n".join(group))
            group = []
    return [*paragraphs, "\n".join(group)] if group else paragraphs


def count_sentences(lines: Sequence[str]) -> int:
    """Sentences that are closed, and lines that end without closing theirs."""
    return sum(len(_SENTENCE_END.findall(line)) + (line[-1] not in TERMINAL_PUNCTUATION) for line in lines)


def function_words_found(vocabulary: Iterable[str]) -> int:
    """Distinct function words of one language, for the language with the most of them."""
    found: dict[str, set[str]] = {}
    for word in vocabulary:
        lowered = word.replace("İ", "i").lower()
        for language in _LANGUAGES_OF.get(lowered, ()):
            found.setdefault(language, set()).add(lowered)
    return max(map(len, found.values()), default=0)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _word_values(text: str, words: Words) -> dict[str, Value]:
    # Half of the words, because a Japanese or Russian page with English names in it is not an English page.
    latin = bool(words.latin) and words.latin * 2 >= words.count
    return {
        "words": round(words.count),
        "mean_word_length": words.mean_length,
        "hash_ratio": _share(text.count("#"), words.tokens),
        "ellipsis_ratio": _share(len(_ELLIPSIS.findall(text)), words.tokens),
        "alphabetic_words": _share(words.alphabetic, words.tokens),
        "stop_words": function_words_found(words.vocabulary) if latin else None,
    }


def _line_values(text: str, lines: list[str], words: Words) -> dict[str, Value]:
    paragraphs = paragraphs_of(text)
    duplicate_lines, duplicate_line_characters = _duplicates(lines)
    duplicate_paragraphs, duplicate_paragraph_characters = _duplicates(paragraphs)
    count = len(lines)
    return {
        "bullet_lines": _share(sum(line[0] in BULLETS for line in lines), count),
        "ellipsis_lines": _share(sum(line.endswith(("...", "…")) for line in lines), count),
        "lines_ending_with_punctuation": _share(sum(line[-1] in TERMINAL_PUNCTUATION for line in lines), count),
        "short_lines": _share(sum(len(line) <= _SHORT_LINE for line in lines), count),
        "newlines_per_word": _share(max(count - 1, 0), words.count),
        "duplicate_lines": duplicate_lines,
        "duplicate_line_characters": duplicate_line_characters,
        "duplicate_paragraphs": duplicate_paragraphs,
        "duplicate_paragraph_characters": duplicate_paragraph_characters,
    }


def _duplicates(parts: list[str]) -> tuple[float | None, float | None]:
    """Return the shares of *parts*, and of their characters, that repeat an earlier one; the first copy is none."""
    distinct = dict.fromkeys(parts)
    characters = sum(map(len, parts))
    return (
        _share(len(parts) - len(distinct), len(parts)),
        _share(characters - sum(map(len, distinct)), characters),
    )


def _page_values(text: str, lines: list[str]) -> dict[str, Value]:
    return {
        "curly_brackets": text.count("{"),
        "lorem_ipsum": text.lower().count("lorem ipsum"),
        "sentences": count_sentences(lines),
    }


def repetition(units: Sequence[str], characters: int, per_word: int = 1) -> dict[str, Value]:
    """Return the shares of *characters* in repeated n-grams, for the nine lengths of Rae et al. 2021, table A1.

    `top_<n>_gram`: within all copies of the most frequent n-gram (0 where none occurs twice). `duplicate_<n>_grams`:
    in n-grams that occurred before, each looked for from behind the last one found. Where *per_word* units make a
    word, n is that many times longer. As in datatrove, on whose figures FineWeb rests, the spaces inside an n-gram count
    for `top` and not for `duplicate`, and the whole text is the denominator.

    >>> repetition("to be or not to be".split(), len("to be or not to be"))["top_2_gram"]
    0.5555555555555556
    """
    values: dict[str, Value] = {f"top_{n}_gram": 0.0 for n in (2, 3, 4)}
    values |= {f"duplicate_{n}_grams": 0.0 for n in range(5, 11)}
    lengths = [len(unit) for unit in units]
    if not lengths:
        return dict.fromkeys(values)
    spaces = 1 if per_word == 1 else 0
    # Position of every n-gram that occurs at least twice -> its class; equal n-grams have equal classes.
    classes: dict[str, int] = {}
    places = _repeated({at: classes.setdefault(unit, len(classes)) for at, unit in enumerate(units)})
    size = 1
    for n in range(2, 11):
        while size < n * per_word and places:
            longer = min(n * per_word, 2 * size)
            places = _extend(places, longer - size)
            size = longer
        if not places:
            break
        if n <= 4:
            values[f"top_{n}_gram"] = min(1.0, _top(places, lengths, size, spaces) / characters)
        else:
            values[f"duplicate_{n}_grams"] = _covered(places, lengths, size) / characters
    return values


def _repeated(places: dict[int, int]) -> dict[int, int]:
    """Return the places whose class occurs more than once."""
    counts = Counter(places.values())
    return {at: kind for at, kind in places.items() if counts[kind] > 1}


def _extend(places: dict[int, int], more: int) -> dict[int, int]:
    """Return the places of repeated n-grams that are *more* units longer than those of *places*."""
    classes: dict[tuple[int, int], int] = {}
    # Two overlapping shorter n-grams determine the longer one, so classes stay exact without touching the text.
    pairs = {at: (kind, places[at + more]) for at, kind in places.items() if at + more in places}
    return _repeated({at: classes.setdefault(pair, len(classes)) for at, pair in pairs.items()})


def _top(places: dict[int, int], lengths: list[int], size: int, spaces: int) -> int:
    """Return the characters in all copies of the most frequent n-gram; among equally frequent ones the longest."""
    counts = Counter(places.values())
    most = max(counts.values())
    first: dict[int, int] = {}
    for at, kind in places.items():
        if counts[kind] == most:
            first.setdefault(kind, at)
    return most * (max(sum(lengths[at : at + size]) for at in first.values()) + spaces * (size - 1))


def _covered(places: dict[int, int], lengths: list[int], size: int) -> int:
    """Return the characters of n-grams that occurred before; what follows is looked at from behind each of them."""
    seen: set[int] = set()
    characters = end = 0
    for at, kind in places.items():
        if at < end:
            continue
        if kind in seen:
            characters += sum(lengths[at : at + size])
            end = at + size
        seen.add(kind)
    return characters


def remove_citations(text: str) -> str:
    """Return *text* without the reference marks of wikis.

    >>> remove_citations("The mill[12] burned down[citation needed].")
    'The mill burned down.'
    """
    return _CITATION.sub("", text) if "[" in text else text


def _is_open(line: str) -> bool:
    return line[-1] not in TERMINAL_PUNCTUATION or line.endswith(("...", "…"))


def _has_few_words(line: str) -> bool:
    if not line.isascii():
        return words_of(line).count < _FEWEST_LINE_WORDS
    words = (chunk for chunk in line.split() if any(map(str.isalnum, chunk)))
    return sum(1 for _ in islice(words, _FEWEST_LINE_WORDS)) < _FEWEST_LINE_WORDS


_LINE_RULES: dict[LineRule, Callable[[str], bool]] = {
    "no_terminal_punctuation": _is_open,
    "few_words": _has_few_words,
    "long_word": lambda line: len(line) > _LONGEST_WORD and any(len(u) > _LONGEST_WORD for u in words_of(line).units),
    "javascript": lambda line: bool(_JAVASCRIPT.search(line)),
    "policy": lambda line: bool(_POLICY.search(line)),
}


def edit_lines(text: str, rules: Sequence[LineRule], *, uncite: bool = False) -> tuple[str, int]:
    r"""Return *text* without the lines that break one of *rules*, and how many were removed.

    Reference marks go first, if *uncite*, line by line. White space around lines goes; of blank lines one remains between
    paragraphs.

    >>> edit_lines("Home\nThe mill stands still.\n\nPlease enable JavaScript to go on.", ("few_words", "javascript"))
    ('The mill stands still.', 2)
    """
    tests = [_LINE_RULES[rule] for rule in rules]
    kept: list[str] = []
    removed = 0
    lines = map(remove_citations, text.splitlines()) if uncite else text.splitlines()
    for line in map(str.strip, lines):
        if not line:
            if kept and kept[-1]:
                kept.append("")
        elif any(test(line) for test in tests):
            removed += 1
        else:
            kept.append(line)
    return "\n".join(kept).rstrip("\n"), removed
