"""How a text falls apart into words, lines, paragraphs and sentences: in one place, so that all quality rules agree.

Words are runs of non-white space. A linguistic tokenizer was rejected: spaCy's English one runs at 0.6 MB/s a core
where `str.split` takes no time that shows, and no single tokenizer speaks every language of a crawl.

Scripts without spaces would make a whole sentence one word. There a word is a fixed number of characters: two in
Chinese and Japanese, five in Thai, Lao, Khmer, Burmese and Tibetan. Against the English words of the same translated
news sentences, Chinese has 1.6 characters to a word, Japanese 2.5, Thai and Lao 5.1, Khmer 6.3, Tibetan 6.8 and
Burmese 7.2. A count of words, not a segmentation, is all that the rules need.

Here is only what characters are; kernels split by it (kernels/quality_scan.py), and tests/plain_quality.py does so in Python.
"""

from __future__ import annotations

__all__ = [
    "BULLETS",
    "CLOSERS",
    "EAST_ASIAN",
    "EAST_ASIAN_WORD",
    "EDGES",
    "SENTENCE_ENDS",
    "SOUTH_EAST_ASIAN",
    "SOUTH_EAST_ASIAN_WORD",
    "STOPS",
    "TERMINAL_PUNCTUATION",
    "VIRAMAS",
]

# Bopomofo, kana, Han with extensions, Yi: about two characters a word.
EAST_ASIAN = "\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c"
EAST_ASIAN += "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
# Thai, Lao, Tibetan, Myanmar, Khmer, New Tai Lue, Tai Tham: letters and signs together, about five a word.
SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e4e\u0e81-\u0edf\u0f40-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u1980-\u19df\u1a20-\u1a7f"
)
EAST_ASIAN_WORD, SOUTH_EAST_ASIAN_WORD = 2, 5
"""Characters in a word of those scripts."""

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
