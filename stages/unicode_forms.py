"""What decides whether a text is in a Unicode normalization form, as tables that a kernel reads.

`unicodedata` needs a string of each text and looks at it once more; the quick check of UAX #15 needs the combining class of a
character and whether it may change, which fits into the one scan that a guard makes anyway. Where the annex says "maybe" (a
character that could combine with the one before it) the pairs that do combine are looked up: Bengali and Tamil are full of
vowel signs that are the second half of something, and a guard that gave up on those would give up on these languages. All
tables are those of this Python, like the normalization itself.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ALWAYS", "MAYBE", "SLOTS", "FormTables", "form_tables", "slot"]

MAYBE: Final = 1 << 8
"""Bit of an attribute: the character may combine with a starter before it."""
ALWAYS: Final = 1 << 9
"""Bit of an attribute: a text with this character is taken for one that is not normalized."""
SLOTS: Final = 2048
"""Places of the hash table of pairs, several times as many as there are pairs."""

_POINTS: Final = 0x110000
_ASSIGNED: Final = 0x30000
"""No character from here on has a decomposition or a combining class; a test asks all of them."""
_SURROGATES: Final = range(0xD800, 0xE000)
_HANGUL: Final = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
"""Vowels and finals that combine by arithmetic instead of by pairs. Outside of damage hardly a text holds any."""
_FACTOR: Final = 0x9E3779B97F4A7C15


class FormTables(NamedTuple):
    """The tables for one form."""

    attributes: npt.NDArray[np.uint32]
    """For each code point: its canonical combining class, and MAYBE or ALWAYS."""
    roots: npt.NDArray[np.uint32]
    """For each of the first code points: the first character of its full decomposition."""
    pairs: npt.NDArray[np.uint64]
    """A hash table of `root << 21 | second` for all that combine, 0 where a place is free. Whether it is the root itself or
    something made of it that combines is not told apart."""


def slot(pair: int) -> int:
    """Return where the search for a pair begins in the hash table."""
    return (pair * _FACTOR & (1 << 64) - 1) >> 53


@functools.cache
def form_tables(form: Literal["NFC", "NFKC", "none"]) -> FormTables:
    """Return the tables for *form*; with `none`, nothing ever needs normalization."""
    attributes = np.zeros(_POINTS, np.uint32)
    roots = np.arange(_ASSIGNED, dtype=np.uint32)
    pairs = np.zeros(SLOTS, np.uint64)
    if form != "none":
        points = [code for code in range(_ASSIGNED) if code not in _SURROGATES]
        for code in points:
            character = chr(code)
            combining = unicodedata.combining(character)
            stays = unicodedata.is_normalized(form, character)
            if combining or not stays:
                attributes[code] = combining | (0 if stays else ALWAYS)
        attributes[list(_HANGUL)] |= ALWAYS
        apart = _decompositions(points)
        for code, (first, _) in apart.items():
            roots[code] = roots[first]
        combining_pairs = [pair for code, pair in apart.items() if unicodedata.is_normalized("NFC", chr(code))]
        attributes[[second for _, second in combining_pairs]] |= MAYBE
        _fill(pairs, {int(roots[first]) << 21 | second for first, second in combining_pairs})
    for array in (attributes, roots, pairs):
        array.flags.writeable = False
    return FormTables(attributes, roots, pairs)


def _decompositions(points: list[int]) -> dict[int, tuple[int, int]]:
    """Return the two characters that each character is made of, if it is; it comes after these.

    Some of them are never put together again, like the letters of Hindi with a dot below.
    """
    found = {}
    for code in points:
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found[code] = int(parts[0], 16), int(parts[1], 16)

    def depth(code: int) -> int:
        return 1 + depth(found[code][0]) if code in found else 0

    return {code: found[code] for code in sorted(found, key=depth)}


def _fill(table: npt.NDArray[np.uint64], pairs: set[int]) -> None:
    for pair in sorted(pairs):
        at = slot(pair)
        while table[at]:
            at = (at + 1) % SLOTS
        table[at] = pair
