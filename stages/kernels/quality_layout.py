"""What the kernels of the quality rules agree on: the classes of characters, and the columns of what they count."""

from __future__ import annotations

__all__ = [
    "ALNUM",
    "ALPHA",
    "ALPHABETIC",
    "BULLET",
    "BULLET_LINES",
    "CHARACTERS",
    "CLOSER",
    "COLUMNS",
    "CURLY_BRACKETS",
    "DECIMAL",
    "DISTINCT_LINES",
    "DISTINCT_LINE_CHARACTERS",
    "DISTINCT_PARAGRAPHS",
    "DISTINCT_PARAGRAPH_CHARACTERS",
    "EAST",
    "EASTERN",
    "EDGE",
    "ELLIPSES",
    "ELLIPSIS_LINES",
    "ENDER",
    "FUNCTION_WORDS",
    "HANGUL",
    "HASHES",
    "LATIN",
    "LATIN_WORDS",
    "LINE",
    "LINES",
    "LINE_CHARACTERS",
    "LOREM_IPSUM",
    "NGRAMS",
    "NUMBER",
    "PARAGRAPHS",
    "PARAGRAPH_CHARACTERS",
    "PUNCTUATED_LINES",
    "SENTENCES",
    "SEVERAL",
    "SHORT_LINE",
    "SHORT_LINES",
    "SOUTH_EAST",
    "SOUTH_EASTERN",
    "SPACE",
    "SPACED",
    "SPACED_CHARACTERS",
    "STOP",
    "SYMBOLS",
    "TERMINAL",
    "TRIGGER",
    "UNITS",
    "UNITS_MEASURED",
    "UNSPACED",
    "VIRAMA",
]

# Classes of a character: bits of the low half of its entry. The high half is the distance to its lower case.
ALPHA, NUMBER, SPACE, LINE, EDGE, EAST, SOUTH_EAST, TERMINAL = (1 << bit for bit in range(8))
BULLET, STOP, ENDER, CLOSER, DECIMAL, HANGUL, VIRAMA, LATIN = (1 << bit for bit in range(8, 16))
SEVERAL, TRIGGER = 1 << 16, 1 << 17
"""Of a byte: it is one of several of a character; a mark or a phrase that lines are judged by may be at it."""
ALNUM = ALPHA | NUMBER
UNSPACED = EAST | SOUTH_EAST

# Columns: what is counted of a document. Words, then marks, then lines and paragraphs, then repeated n-grams.
(
    CHARACTERS,
    UNITS,
    SPACED,
    SPACED_CHARACTERS,
    ALPHABETIC,
    SYMBOLS,
    LATIN_WORDS,
    FUNCTION_WORDS,
    EASTERN,
    SOUTH_EASTERN,
) = range(10)
HASHES, ELLIPSES, CURLY_BRACKETS, LOREM_IPSUM, SENTENCES = range(10, 15)
LINES, BULLET_LINES, ELLIPSIS_LINES, PUNCTUATED_LINES, SHORT_LINES, LINE_CHARACTERS = range(15, 21)
DISTINCT_LINES, DISTINCT_LINE_CHARACTERS, PARAGRAPHS, PARAGRAPH_CHARACTERS = range(21, 25)
DISTINCT_PARAGRAPHS, DISTINCT_PARAGRAPH_CHARACTERS, NGRAMS = range(25, 28)
COLUMNS = NGRAMS + 9
"""From `NGRAMS` on: characters in repeated n-grams of 2 to 10 words."""

SHORT_LINE = 30
"""Characters of the longest line that is short."""
UNITS_MEASURED = 100_000
"""Words, or characters of scripts without spaces, looked at for repeated n-grams: the most that Gopher allows at all."""
