"""The quality rules as one table, and the measurements behind them.

A rule names a signal, a side and the threshold that each preset publishes; deciding is a comparison and nothing else,
so a threshold can be tuned on stored signals. Where two projects limit the same value they share the rule, and the
stricter limit of the chosen presets holds.

Repeated n-grams are found by refinement: an n-gram can only be repeated where both its halves are, so each length looks
only at the places that the shorter one left over. On ordinary text few are left after three words. Counting tuples for
each of the nine lengths was rejected: the same figures at a third to a fifth of the speed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from corpusmill.stages.text_units import (
    BULLETS,
    TERMINAL_PUNCTUATION,
    Words,
    count_sentences,
    function_words_found,
    lines_of,
    paragraphs_of,
    words_of,
)

__all__ = ["RULES", "LineRule", "Preset", "Rule", "edit_lines", "measure", "remove_citations", "repetition"]

Preset = Literal["gopher_quality", "gopher_repetition", "c4", "fineweb"]
LineRule = Literal["no_terminal_punctuation", "few_words", "long_word", "javascript", "policy"]
Family = Literal["words", "lines", "page", "repetition"]
Value = float | int | None

_UNITS_MEASURED = 100_000
"""Words (or unspaced characters) looked at for repeated n-grams: the most that Gopher allows in a document at all."""


class Rule(NamedTuple):
    """One threshold: a document breaks it where its *signal* lies beyond the limit on the named *side*."""

    reason: str
    side: Literal["minimum", "maximum"]
    signal: str
    family: Family
    limits: Mapping[Preset, float]

    @property
    def setting(self) -> str:
        """The name of the setting that overrides the limit."""
        return f"{self.side}_{self.signal}"

    def broken_by(self, value: float, limit: float) -> bool:
        """Say whether *value* lies beyond *limit*; the limit itself is still good."""
        return value < limit if self.side == "minimum" else value > limit


RULES: tuple[Rule, ...] = (
    # Rae et al. 2021 (Gopher), section A1.1. Cheap rules first: the first one broken names the reason.
    Rule("too_few_words", "minimum", "words", "words", {"gopher_quality": 50}),
    Rule("too_many_words", "maximum", "words", "words", {"gopher_quality": 100_000}),
    Rule("mean_word_length", "minimum", "mean_word_length", "words", {"gopher_quality": 3}),
    Rule("mean_word_length", "maximum", "mean_word_length", "words", {"gopher_quality": 10}),
    Rule("hash_ratio", "maximum", "hash_ratio", "words", {"gopher_quality": 0.1}),
    Rule("ellipsis_ratio", "maximum", "ellipsis_ratio", "words", {"gopher_quality": 0.1}),
    Rule("bullet_lines", "maximum", "bullet_lines", "lines", {"gopher_quality": 0.9}),
    Rule("ellipsis_lines", "maximum", "ellipsis_lines", "lines", {"gopher_quality": 0.3}),
    Rule("alphabetic", "minimum", "alphabetic_words", "words", {"gopher_quality": 0.8}),
    Rule("stop_words", "minimum", "stop_words", "words", {"gopher_quality": 2}),
    # Raffel et al. 2020 (C4), section 2.2.
    Rule("curly_bracket", "maximum", "curly_brackets", "page", {"c4": 0}),
    Rule("lorem_ipsum", "maximum", "lorem_ipsum", "page", {"c4": 0}),
    Rule("too_few_sentences", "minimum", "sentences", "page", {"c4": 5}),
    # Penedo et al. 2024 (FineWeb), section 3.6; the newline ratio is in the released code only.
    Rule("line_punctuation", "minimum", "lines_ending_with_punctuation", "lines", {"fineweb": 0.12}),
    Rule("short_lines", "maximum", "short_lines", "lines", {"fineweb": 0.67}),
    Rule("newline_ratio", "maximum", "newlines_per_word", "lines", {"fineweb": 0.3}),
    # Rae et al. 2021, table A1.
    Rule("duplicate_lines", "maximum", "duplicate_lines", "lines", {"gopher_repetition": 0.3}),
    Rule("duplicate_paragraphs", "maximum", "duplicate_paragraphs", "lines", {"gopher_repetition": 0.3}),
    Rule(
        "duplicate_line_characters",
        "maximum",
        "duplicate_line_characters",
        "lines",
        {"gopher_repetition": 0.2, "fineweb": 0.1},
    ),
    Rule(
        "duplicate_paragraph_characters",
        "maximum",
        "duplicate_paragraph_characters",
        "lines",
        {"gopher_repetition": 0.2},
    ),
    *(
        Rule(f"top_{n}_gram", "maximum", f"top_{n}_gram", "repetition", {"gopher_repetition": limit})
        for n, limit in ((2, 0.20), (3, 0.18), (4, 0.16))
    ),
    *(
        Rule(f"duplicate_{n}_grams", "maximum", f"duplicate_{n}_grams", "repetition", {"gopher_repetition": limit})
        for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    ),
)
"""Every rule in the order in which it is asked."""

_ELLIPSIS = re.compile(r"\.{3,}|…+")
_SHORT_LINE = 30
_CITATION = re.compile(r"\[(?:\d{0,4}|edit|citation needed)\]")
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_FEWEST_LINE_WORDS = 3
_LONGEST_WORD = 1000


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
        measured |= repetition(words.units[:_UNITS_MEASURED], _characters_measured(text, words), words.per_word)
    return measured


def _characters_measured(text: str, words: Words) -> int:
    """Return how many characters of *text* the measured units stand for, the space around them included."""
    return len(text) if len(words.units) <= _UNITS_MEASURED else len(text) * _UNITS_MEASURED // len(words.units)


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
    within n-grams that occurred before, overlaps counted once. Where *per_word* units make a word, n is that many times
    longer. As in datatrove, on whose figures FineWeb rests, the spaces inside an n-gram count for `top` and not for
    `duplicate`, and the whole text is the denominator.

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
    """Return the characters inside n-grams that occurred before, each character once."""
    seen: set[int] = set()
    characters = end = 0
    for at, kind in places.items():
        if kind in seen:
            characters += sum(lengths[max(at, end) : at + size])
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
    "javascript": lambda line: "javascript" in line.lower(),
    "policy": lambda line: any(phrase in line.lower() for phrase in _POLICY),
}


def edit_lines(text: str, rules: Sequence[LineRule]) -> tuple[str, int]:
    r"""Return *text* without the lines that break one of *rules*, and how many were removed.

    White space around lines goes; of blank lines one remains between paragraphs.

    >>> edit_lines("Home\nThe mill stands still.\n\nPlease enable JavaScript to go on.", ("few_words", "javascript"))
    ('The mill stands still.', 2)
    """
    tests = [_LINE_RULES[rule] for rule in rules]
    kept: list[str] = []
    removed = 0
    for line in map(str.strip, text.splitlines()):
        if not line:
            if kept and kept[-1]:
                kept.append("")
        elif any(test(line) for test in tests):
            removed += 1
        else:
            kept.append(line)
    return "\n".join(kept).rstrip("\n"), removed
