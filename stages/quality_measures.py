"""From a batch of texts to the values that the quality rules compare: kernels count, and here counts become shares.

Words, lines and paragraphs are compared by 64-bit hashes alone (see `hash_table`). Memory is that of the longest text of a batch:
85 bytes for each of its first 100,000 words, and 16 to 64 for each of its distinct lines and paragraphs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.stages.function_words import function_word_table
from corpusmill.stages.kernels import quality_layout as layout
from corpusmill.stages.quality_characters import quality_characters
from corpusmill.stages.quality_rules import Family, LineRule
from corpusmill.stages.text_buffers import TextBuffers
from corpusmill.stages.text_units import EAST_ASIAN_WORD, SOUTH_EAST_ASIAN_WORD

__all__ = ["Edited", "edit_texts", "measure_texts"]

Numbers = npt.NDArray[np.float64]
_NGRAM_NAMES = (*(f"top_{n}_gram" for n in (2, 3, 4)), *(f"duplicate_{n}_grams" for n in range(5, 11)))


def measure_texts(texts: TextBuffers, families: Collection[Family]) -> dict[str, Numbers]:
    """Return the values of the *families*, one for each text; NaN where a text has nothing to measure."""
    from corpusmill.stages.kernels.quality_scan import scan

    counted = np.zeros((len(texts.starts), layout.COLUMNS), np.int64)
    if families:
        words = function_word_table()
        of_lines, of_ngrams = "lines" in families, "repetition" in families
        scan(*texts, *quality_characters(), *words[:3], words.shift, of_lines, of_ngrams, counted)
    counts: dict[str, Numbers] = {}
    column = counted.T
    # What a text without spaces has in words: two characters of Chinese or Japanese are one, five of Thai or Tibetan.
    unspaced = column[layout.EASTERN] / EAST_ASIAN_WORD + column[layout.SOUTH_EASTERN] / SOUTH_EAST_ASIAN_WORD
    words_counted = column[layout.SPACED] + unspaced
    if "words" in families:
        counts |= _word_values(column, words_counted, unspaced)
    if "lines" in families:
        counts |= _line_values(column, words_counted)
    if "page" in families:
        counts["curly_brackets"] = column[layout.CURLY_BRACKETS].astype(np.float64)
        counts["lorem_ipsum"] = column[layout.LOREM_IPSUM].astype(np.float64)
        counts["sentences"] = column[layout.SENTENCES].astype(np.float64)
    if "repetition" in families:
        counts |= _repetition_values(column)
    return counts


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Numbers:
    """Return *part* of *whole*, NaN where that is 0."""
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _word_values(column: npt.NDArray[np.int64], words: Numbers, unspaced: Numbers) -> dict[str, Numbers]:
    spaced, latin = column[layout.SPACED], column[layout.LATIN_WORDS]
    tokens = words + column[layout.SYMBOLS]
    lengths = _share(column[layout.SPACED_CHARACTERS], spaced)
    found = column[layout.FUNCTION_WORDS].astype(np.float64)
    return {
        "words": np.rint(words),
        # Half of the words, because a text that has mostly no spaces has no words to measure.
        "mean_word_length": np.where(spaced * 2 >= words, lengths, np.nan),
        "hash_ratio": _share(column[layout.HASHES], tokens),
        "ellipsis_ratio": _share(column[layout.ELLIPSES], tokens),
        "alphabetic_words": _share(column[layout.ALPHABETIC] + unspaced, tokens),
        # Half of the words, because a Japanese or Russian page with English names in it is not an English page.
        "stop_words": np.where((latin > 0) & (latin * 2 >= words), found, np.nan),
    }


def _line_values(column: npt.NDArray[np.int64], words: Numbers) -> dict[str, Numbers]:
    lines, characters = column[layout.LINES], column[layout.LINE_CHARACTERS]
    paragraphs, paragraph_characters = column[layout.PARAGRAPHS], column[layout.PARAGRAPH_CHARACTERS]
    return {
        "bullet_lines": _share(column[layout.BULLET_LINES], lines),
        "ellipsis_lines": _share(column[layout.ELLIPSIS_LINES], lines),
        "lines_ending_with_punctuation": _share(column[layout.PUNCTUATED_LINES], lines),
        "short_lines": _share(column[layout.SHORT_LINES], lines),
        "newlines_per_word": _share(np.maximum(lines - 1, 0), words),
        "duplicate_lines": _share(lines - column[layout.DISTINCT_LINES], lines),
        "duplicate_line_characters": _share(characters - column[layout.DISTINCT_LINE_CHARACTERS], characters),
        "duplicate_paragraphs": _share(paragraphs - column[layout.DISTINCT_PARAGRAPHS], paragraphs),
        "duplicate_paragraph_characters": _share(
            paragraph_characters - column[layout.DISTINCT_PARAGRAPH_CHARACTERS], paragraph_characters
        ),
    }


def _repetition_values(column: npt.NDArray[np.int64]) -> dict[str, Numbers]:
    units, characters = column[layout.UNITS], column[layout.CHARACTERS]
    # The share of the text that was looked at, the space around the units included.
    whole = np.where(
        units > layout.UNITS_MEASURED, characters * layout.UNITS_MEASURED // np.maximum(units, 1), characters
    )
    whole = np.where(units > 0, whole, 0)
    # Copies of an n-gram may overlap: more characters than the text has.
    return {name: np.minimum(_share(column[layout.NGRAMS + at], whole), 1.0) for at, name in enumerate(_NGRAM_NAMES)}


class Edited(NamedTuple):
    """Texts without the lines that were removed."""

    texts: pa.LargeStringArray
    removed: npt.NDArray[np.int64]
    """Lines taken out of each."""


def edit_texts(texts: TextBuffers, line_rules: Sequence[LineRule], *, uncite: bool) -> Edited:
    """Return *texts* without reference marks, if *uncite*, and without the lines that break one of *line_rules*.

    With any line rule, white space around lines goes, and of blank lines one remains between paragraphs.
    """
    from corpusmill.stages.kernels import quality_lines as lines

    bits: dict[LineRule, int] = {
        "no_terminal_punctuation": lines.OPEN,
        "few_words": lines.FEW_WORDS,
        "long_word": lines.LONG_WORD,
        "javascript": lines.JAVASCRIPT,
        "policy": lines.POLICY,
    }
    number = len(texts.starts)
    out = np.empty(int((texts.ends - texts.starts).sum()), np.uint8)
    bounds, removed = np.zeros(number + 1, np.int64), np.zeros(number, np.int64)
    rules = sum(bits[rule] for rule in set(line_rules))
    lines.edit(*texts, *quality_characters(), uncite, bool(line_rules), rules, out, bounds, removed)
    return Edited(pa.LargeStringArray.from_buffers(number, pa.py_buffer(bounds), pa.py_buffer(out)), removed)
