"""Normalization (NFC) of a text of code points: whether it is needed, and doing it.

One text in twenty of those in many languages is no normal form: Bengali, Punjabi and Hindi have letters that have to be taken
apart, Burmese has marks out of order, Yoruba has marks that compose. Left to Python these took a third of the time of all texts.
Python's `unicodedata` is what the tables are made of (`language_characters`) and what tests hold this against.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inlined, inner
from corpusmill.stages.text_cleaning import MOST_MARKS

__all__ = ["CLASS", "COMPOSED", "COMPOSES", "UNSTABLE", "is_normal", "normalized", "traits_of"]

UNSTABLE, COMPOSES, COMPOSED = 16, 32, 64
"""What a character may be. UNSTABLE: normalization changes it, or may (vowels and finals of Hangul); COMPOSES: with one before
it, perhaps; COMPOSED: of others, canonically."""
CLASS = 8
"""From this bit on: the combining class."""

_0, _1, _7, _127 = (np.uint64(number) for number in (0, 1, 7, 127))
_CLASS = np.uint32(CLASS)
_MOST_MARKS = np.uint64(MOST_MARKS)
_NONE = np.uint32(0xFFFFFFFF)
# Syllables of Hangul are composed by arithmetic (Unicode, section 3.12): 19 × 21 × 28.
_SYLLABLE, _LEAD, _VOWEL, _FINAL = (np.uint32(code) for code in (0xAC00, 0x1100, 0x1161, 0x11A7))
_LEADS, _VOWELS, _FINALS = (np.uint32(number) for number in (19, 21, 28))


@inlined
def traits_of(code: np.uint32, page_of: Any, pages: Any) -> np.uint32:
    """Return what a character is."""
    return pages[page_of[np.uint64(code) >> _7], np.uint64(code) & _127]


@inlined
def _place(sorted_numbers: Any, number: Any) -> np.uint64:
    """Return where *number* is; the length of the array if it is not."""
    found = np.uint64(np.searchsorted(sorted_numbers, number))
    size = np.uint64(sorted_numbers.size)
    return found if found < size and sorted_numbers[found] == number else size


@inner
def is_normal(codes: Any, count: np.uint64, page_of: Any, pages: Any, pairs: Any) -> bool:
    """Return whether normalization (NFC) is sure to leave the text as it is.

    It is, if no character changes of itself, marks are in order, and none that could compose can: it would with the character
    before it, or with one further on the left if that is a mark, or by changing places with marks that are part of it.
    """
    before, last = np.uint32(0), np.uint32(0)
    for at in range(count):
        code = codes[at]
        traits = traits_of(code, page_of, pages)
        order = traits >> _CLASS
        if traits & np.uint32(UNSTABLE) or (order and order < last):
            return False
        if traits & np.uint32(COMPOSES):
            if last or (order and traits_of(before, page_of, pages) & np.uint32(COMPOSED)):
                return False
            if _place(pairs, (np.uint64(before) << np.uint64(21)) | np.uint64(code)) < np.uint64(pairs.size):
                return False
        before, last = code, order
    return True


@inner
def _has_stack(codes: Any, count: np.uint64, page_of: Any, pages: Any, wholes: Any, bounds: Any, parts: Any) -> bool:
    """Return whether there are more marks in a row than `text_cleaning.cut_stacks` leaves.

    Three vowels of Tibetan have no combining class, but consist of marks.
    """
    run, decomposed = _0, np.uint32(UNSTABLE | COMPOSED)
    for at in range(count):
        code = codes[at]
        traits = traits_of(code, page_of, pages)
        if traits & decomposed == decomposed and not traits >> _CLASS:
            traits = traits_of(parts[np.uint64(bounds[_place(wholes, code)])], page_of, pages)
        run = run + _1 if traits >> _CLASS else _0
        if run > _MOST_MARKS:
            return True
    return False


@inner
def _appended(code: np.uint32, out: Any, to: np.uint64, page_of: Any, pages: Any) -> np.uint64:
    """Write a character behind the *to* first of *out*, a mark before those of a higher class; return the new length."""
    order = traits_of(code, page_of, pages) >> _CLASS
    place = to
    if order:
        while place and traits_of(out[place - _1], page_of, pages) >> _CLASS > order:
            out[place] = out[place - _1]
            place -= _1
    out[place] = code
    return to + _1


@inner
def _taken_apart(
    codes: Any, count: np.uint64, page_of: Any, pages: Any, wholes: Any, bounds: Any, parts: Any, out: Any
) -> np.uint64:
    """Write the canonical decomposition (NFD) to *out* and return its length; syllables of Hangul stay whole."""
    to = _0
    for at in range(count):
        code = codes[at]
        place = np.uint64(wholes.size)
        if traits_of(code, page_of, pages) & np.uint32(COMPOSED):
            place = _place(wholes, code)
        if place < np.uint64(wholes.size):
            for part in range(np.uint64(bounds[place]), np.uint64(bounds[place + _1])):
                to = _appended(parts[part], out, to, page_of, pages)
        else:
            to = _appended(code, out, to, page_of, pages)
    return to


@inner
def _together(first: np.uint32, second: np.uint32, traits: np.uint32, pairs: Any, compounds: Any) -> np.uint32:
    """Return what two characters compose, _NONE if nothing; *traits* are those of the second."""
    if traits & np.uint32(COMPOSES):
        place = _place(pairs, (np.uint64(first) << np.uint64(21)) | np.uint64(second))
        return compounds[place] if place < np.uint64(pairs.size) else _NONE
    # Unsigned: what is below the first of a range is far above its end.
    if second - _VOWEL < _VOWELS and first - _LEAD < _LEADS:
        return _SYLLABLE + ((first - _LEAD) * _VOWELS + second - _VOWEL) * _FINALS
    syllable = first - _SYLLABLE
    if np.uint32(0) < second - _FINAL < _FINALS and syllable < _LEADS * _VOWELS * _FINALS and not syllable % _FINALS:
        return first + second - _FINAL
    return _NONE


@inner
def normalized(
    codes: Any,
    count: np.uint64,
    page_of: Any,
    pages: Any,
    pairs: Any,
    compounds: Any,
    wholes: Any,
    bounds: Any,
    parts: Any,
    out: Any,
) -> np.uint64:
    """Write the normal form (NFC) of the *count* first of *codes* to *out*, which has room for four times as many.

    Returns its length, or 0 where there are more marks in a row than are kept. The tables are those of
    `language_characters.Characters`.
    """
    if _has_stack(codes, count, page_of, pages, wholes, bounds, parts):
        return _0
    length = _taken_apart(codes, count, page_of, pages, wholes, bounds, parts, out)
    to, starter, last = _0, _0, np.uint32(0)
    has_starter = False
    for at in range(length):
        code = out[at]
        traits = traits_of(code, page_of, pages)
        order = traits >> _CLASS
        # A mark composes with the starter before it unless one of its own class or a higher one stands between.
        if has_starter and traits & np.uint32(UNSTABLE | COMPOSES) and (to == starter + _1 or last < order):
            together = _together(out[starter], code, traits, pairs, compounds)
            if together != _NONE:
                out[starter] = together
                continue
        if not order:
            starter, has_starter = to, True
        last = order
        out[to] = code
        to += _1
    return to
