"""What kind each character is to the quality rules, as a table that kernels read.

Letters, digits and white space are what `str.isalpha`, `str.isalnum` and `str.isspace` say they are; marks are the lists of
`text_units`. Asking each of a million code points would take half a second in every worker, so a pattern finds the runs.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import paged
from corpusmill.stages.kernels import quality_layout as layout
from corpusmill.stages.text_units import (
    BULLETS,
    CLOSERS,
    EAST_ASIAN,
    EDGES,
    SENTENCE_ENDS,
    SOUTH_EAST_ASIAN,
    STOPS,
    TERMINAL_PUNCTUATION,
    VIRAMAS,
)

__all__ = ["QualityCharacters", "quality_characters"]

_CLASSED = 0x40000  # behind are selectors and characters for private use
_TRIGGERS = b"[aAiIjJsS"  # see the kernel quality_lines.edit
_MARKS = {
    layout.EDGE: EDGES,
    layout.TERMINAL: TERMINAL_PUNCTUATION,
    layout.BULLET: BULLETS,
    layout.STOP: STOPS,
    layout.ENDER: SENTENCE_ENDS,
    layout.CLOSER: CLOSERS,
    layout.VIRAMA: VIRAMAS,
}
_RANGES = {
    layout.EAST: f"[{EAST_ASIAN}]+",
    layout.SOUTH_EAST: f"[{SOUTH_EAST_ASIAN}]+",
    layout.SPACE: r"\s+",
    layout.DECIMAL: r"\d+",
    layout.HANGUL: "[\uac00-\ud7a3]+",
    layout.LATIN: "[\x00-\u024f\u1e00-\u1eff]+",
}


class QualityCharacters(NamedTuple):
    """Of code point *c*: `pages[page_of[c >> 7], c & 127]` is its class, and above 32 bits the distance to its lower case."""

    bytes_: npt.NDArray[np.uint32]
    """Classes of the 128 ASCII characters, then of the other bytes, of which several are a character."""
    page_of: npt.NDArray[np.uint16]
    pages: npt.NDArray[np.int64]


@functools.cache
def quality_characters() -> QualityCharacters:
    """Return the table."""
    text = "".join(map(chr, range(_CLASSED)))
    kinds = np.zeros(len(text), np.int64)
    for kind, pattern in _RANGES.items():
        for run in re.finditer(pattern, text):
            kinds[run.start() : run.end()] |= kind
    for kind, marks in _MARKS.items():
        kinds[[ord(mark) for mark in marks]] |= kind
    for run in re.finditer(r"[^\W_]+", text):
        letters = [True] * len(run.group()) if run.group().isalpha() else list(map(str.isalpha, run.group()))
        kinds[run.start() : run.end()] |= np.where(letters, layout.ALPHA, layout.NUMBER)
    for code in np.flatnonzero(kinds & layout.SPACE).tolist():
        kinds[code] |= layout.LINE if len(f"a{chr(code)}a".splitlines()) > 1 else 0
    # As in the tables of signatures: one code point for one, so İ is i without the dot that `str.lower` puts behind it.
    lower = np.frombuffer(text.replace("İ", "i").lower().encode("utf-32-le", "surrogatepass"), np.uint32).astype(
        np.int64
    )
    distances = np.where(kinds & layout.ALPHA, lower - np.arange(len(text)), 0)
    of_bytes = np.concatenate([kinds[:128], np.full(128, layout.SEVERAL)]).astype(np.uint32)
    of_bytes[np.frombuffer(_TRIGGERS, np.uint8)] |= layout.TRIGGER
    of_bytes.flags.writeable = False
    return QualityCharacters(of_bytes, *paged(kinds | (distances << 32)))
