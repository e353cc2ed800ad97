r"""The frozen character table of signatures: lower case and class of every code point, the same on every Python.

The interpreter's own `str.lower` and `\w` are what they are called after, and what they are not made with: each Python version
brings another Unicode, and an index that was filled under one would be read under the next. The table is a text file of ranges
(data/characters_v1.txt) that docs/build_characters.py made once.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import CODE_POINTS, PAGE, paged

__all__ = ["OTHER", "SPACE", "UNSPACED", "WORD", "CharacterTable", "WordKind", "character_table"]

WordKind = Literal["unicode", "python"]

OTHER: Final = 0
SPACE: Final = 1
WORD: Final = 2
UNSPACED: Final = 3
"""A code point that is a word by itself."""

_CLASSES: Final[dict[WordKind, dict[str, int]]] = {
    "unicode": {"S": SPACE, "L": WORD, "M": WORD, "l": UNSPACED, "m": UNSPACED},
    "python": {"S": SPACE, "L": WORD, "M": OTHER, "l": WORD, "m": OTHER},
}


class CharacterTable(NamedTuple):
    """The table as kernels read it: `pages[page_of[code >> 7], code & 127]` is `distance to lower case << 4 | class`.

    Two levels, because the 230 distinct pages (118 kB) stay in the processor's cache and 4 MB do not.
    """

    page_of: npt.NDArray[np.uint8]
    pages: npt.NDArray[np.int32]

    def lower(self, code: int) -> int:
        """Return the code point that *code* has in lower case, itself if it has none."""
        return code + (int(self.pages[self.page_of[code // PAGE], code % PAGE]) >> 4)

    def kind(self, code: int) -> int:
        """Return OTHER, SPACE, WORD or UNSPACED."""
        return int(self.pages[self.page_of[code // PAGE], code % PAGE]) & 15


@functools.cache
def character_table(kind: WordKind = "unicode") -> CharacterTable:
    r"""Return the table for *kind*: `python` words are what `\w+` matches, `unicode` knows marks and scripts without spaces."""
    classes = _CLASSES[kind]
    entries = np.zeros(CODE_POINTS, np.int32)
    for line in files("corpusmill.stages").joinpath("data/characters_v1.txt").read_text("ascii").splitlines():
        span, _, value = line.partition(" ")
        if span == "#":
            continue
        span, _, step = span.partition("/")
        first, _, last = span.partition("-")
        codes = np.s_[int(first, 16) : int(last or first, 16) + 1 : int(step or 1)]
        arrow, _, lower = value.partition(" ")
        entries[codes] += (int(lower, 16) - codes.start) * 16 if arrow == ">" else classes[value]
    page_of, pages = paged(entries)
    narrow = page_of.astype(np.uint8)  # there are 230 pages: 9 kB in place of 17
    narrow.flags.writeable = False
    return CharacterTable(narrow, pages)
