"""Where terms of a lexicon may be in texts, found in their bytes: no string is made of a text that has none.

A text becomes symbols: code points folded as `term_folding.fold` does it, in 16 bits, characters that a reader does not see left
out, and every run of what is in no word one blank. Terms are made of symbols too and looked for where a word begins, by the first
six symbols, or as many as it has: bits in a table of 16 kB that stays in the processor's first cache. What passes is compared in
full. An Aho-Corasick automaton over bytes was rejected: each step waits for the one before (5 ns a byte with
the states of 5,000 terms), and it stops at 9 places per kB of English, where this one stops at 0.1.

What is found is a superset: blanks of a phrase may be any punctuation, letters before a word that some languages write together
with it are not looked at. `TermMatcher` decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined, inner
from corpusmill.stages.kernels.term_symbols import BLANK, CLASS, SHORT, UNSPACED, WORD, Characters, Found, fold_symbols

__all__ = ["SIGNED", "SPREAD", "WRITTEN", "Disguises", "Terms", "find_terms", "texts_with_terms"]

SIGNED, WRITTEN, SPREAD = 0, 1 << 30, 2 << 30
"""Sights of an odd word: signs between its letters; letters repeated or of two scripts; a blank after each letter."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_OF_ONE, _OF_TWO, _OF_THREE, _OF_FOUR = (np.uint64(2**bits - 1) for bits in (16, 32, 48, 64))
_0, _1, _2, _3, _4, _5, _6, _8, _16, _32, _48, _63 = (
    np.uint64(number) for number in (0, 1, 2, 3, 4, 5, 6, 8, 16, 32, 48, 63)
)
_LONGEST = np.uint64(40)  # characters of a word that is spelled to be missed, before and after where it shows


class Disguises(NamedTuple):
    """How a word that is spelled to be missed is read: letters by what they look like, repeated ones once."""

    of_bytes: Any
    """What an ASCII character is read as; 0: nothing; 1: any letter."""
    of_symbols: Any
    bits: Any
    """2^16 bits: with which four letters, each another than the one before, terms begin."""


class Terms(NamedTuple):
    """Terms as symbols, sorted by their first four (or three, two, if they have no more), by which `keys` finds them."""

    bits: Any
    """2^17 bits: which keys there may be."""
    keys: Any
    """Open addressing over a power of two of slots; 0 is empty."""
    first: Any
    """For each slot its first term; the terms of a slot lie together up to `last`."""
    last: Any
    symbols: Any
    begin: Any
    """Where in `symbols` each term begins; one more than there are terms."""
    open_end: Any
    """Whether any rest of the word may follow."""


@inlined
def _reads_like(four: np.uint64, bits: Any) -> bool:
    place = (four * _FACTOR) >> _48
    return (bits[place >> _6] >> (place & _63)) & _1 != 0


@inner
def _signed(data: Any, at: np.uint64, start: np.uint64, end: np.uint64, letters: Any, disguises: Disguises) -> bool:
    """Return whether the word around the letter at *at*, with signs among its letters, may be a term."""
    begin = at
    while begin > start and at - begin < _LONGEST and _of_signed(data[begin - _1], letters):
        begin -= _1
    four, taken, last = _0, _0, _0
    place = begin
    stop = min(end, begin + _LONGEST)
    while place < stop and taken < _4 and _of_signed(data[place], letters):
        letter = np.uint64(disguises.of_bytes[data[place]])
        if letter == 1:
            return True
        if letter == 0:
            return False
        if letter != last:
            four = four << _8 | letter
            taken += _1
            last = letter
        place += _1
    while place < stop and _of_signed(data[place], letters):
        if disguises.of_bytes[data[place]] == 1:
            return True
        place += _1
    return bool(taken == 4 and _reads_like(four, disguises.bits))


@inlined
def _of_signed(byte: np.uint8, letters: Any) -> bool:
    return bool(byte < 128 and letters[byte] & (3 << 10) != 0)


@inner
def _written(symbols: Any, at: np.uint64, count: np.uint64, step: np.uint64, kinds: Any, disguises: Disguises) -> bool:
    """Return whether the word around the symbol at *at*, or one of letters *step* apart from there on, may be a term."""
    place = at
    if step == 1:
        while place > 0 and kinds[symbols[place - _1]] & CLASS == WORD and at - place < _LONGEST:
            place -= _1
    four, taken, last = _0, _0, _0
    stop = min(count, place + _LONGEST + _LONGEST)
    while place < stop and taken < _4 and kinds[symbols[place]] & CLASS == WORD:
        letter = np.uint64(disguises.of_symbols[symbols[place]])
        if letter != last:
            four = four << _8 | letter
            taken += _1
            last = letter
        place += step
    return taken == 4 and _reads_like(four, disguises.bits)


@inner
def _disguised(
    data: Any, start: np.uint64, end: np.uint64, count: np.uint64, begun: np.uint64, odd: np.uint64,
    characters: Characters, disguises: Disguises, room: Found, enough: np.uint64,
) -> np.uint64:  # fmt: skip
    """Leave of the odd symbols those whose word may be a term, and add words with a blank after each letter; *enough* ends it."""
    kept = _0
    for number in range(odd):
        at = np.uint64(room.odd[np.uint64(number)])
        byte = start + np.uint64(room.offsets[at])
        if data[byte] < 128 and byte > start and _of_signed(data[byte], characters.letters):
            signed = _signed(data, byte, start, end, characters.letters, disguises)
            if signed:
                room.odd[kept] = at | np.uint64(SIGNED)
                kept += _1
                if kept >= enough:
                    return kept
                continue
        if _written(room.symbols, at, count, _1, characters.kinds, disguises):
            room.odd[kept] = at | np.uint64(WRITTEN)
            kept += _1
            if kept >= enough:
                return kept
    alone = _0
    for number in range(1, np.int64(begun)):
        place = np.uint64(number)
        at = np.uint64(room.starts[place])
        alone = alone + _1 if at - np.uint64(room.starts[place - _1]) == 2 else _0
        if alone >= 3 and room.symbols[at - _1] == BLANK and kept < room.odd.size:
            four = at - _6
            if _written(room.symbols, four, count, _2, characters.kinds, disguises):
                room.odd[kept] = four | np.uint64(SPREAD)
                kept += _1
                if kept >= enough:
                    return kept
    return kept


@inlined
def _may_be(key: np.uint64, bits: Any) -> bool:
    place = (key * _FACTOR) >> np.uint64(47)
    return (bits[place >> _6] >> (place & _63)) & _1 != 0


@inner
def _matched(key: np.uint64, symbols: Any, at: np.uint64, kinds: Any, terms: Terms) -> np.uint64:
    """Return how many symbols the shortest term with *key* takes that is at *at*; 0 if none is."""
    size = np.uint64(terms.keys.size - 1)
    slot = (key * _FACTOR >> _32) & size
    while terms.keys[slot] != key:
        if terms.keys[slot] == 0:
            return _0
        slot = (slot + _1) & size
    shortest = _0
    for term in range(terms.first[slot], terms.last[slot]):
        begin = np.uint64(terms.begin[np.uint64(term)])
        length = np.uint64(terms.begin[np.uint64(term + 1)]) - begin
        place = _0
        while place < length and symbols[at + place] == terms.symbols[begin + place]:
            place += _1
        if place < length or (shortest and length >= shortest):
            continue
        end, after = kinds[symbols[at + length - _1]] & CLASS, kinds[symbols[at + length]] & CLASS
        if terms.open_end[np.uint64(term)] or end != after or end == UNSPACED:
            shortest = length
    return shortest


@inner
def _term_at(key: np.uint64, symbols: Any, at: np.uint64, kinds: Any, terms: Terms) -> np.uint64:
    """Return how many symbols the shortest term takes that begins at *at*, where the four symbols of *key* are."""
    for mask in (_OF_ONE, _OF_TWO, _OF_THREE, _OF_FOUR):
        if _may_be(key & mask, terms.bits):
            length = _matched(key & mask, symbols, at, kinds, terms)
            if length:
                return length
    return _0


@inlined
def _key(symbols: Any, at: np.uint64) -> np.uint64:
    """Return four symbols as one number."""
    two = np.uint64(symbols[at]) | np.uint64(symbols[at + _1]) << _16
    return two | np.uint64(symbols[at + _2]) << _32 | np.uint64(symbols[at + _3]) << _48


@inlined
def _may_begin(key: np.uint64, symbols: Any, at: np.uint64, kinds: Any, bits: Any) -> bool:
    """Return whether a term may begin at *at*; False for most words, before anything is called."""
    if _may_be(key & _OF_THREE, bits):
        return True
    if kinds[symbols[at]] & SHORT and (_may_be(key & _OF_TWO, bits) or _may_be(key & _OF_ONE, bits)):
        return True
    if not _may_be(key, bits):
        return False
    more = np.uint64(symbols[at + _4]) | np.uint64(symbols[at + _5]) << _16
    return _may_be(key ^ more * _SECOND, bits) or _may_be(key ^ _SECOND, bits)


@bare_kernel
def texts_with_terms(
    data: Any,
    begins: Any,
    ends: Any,
    characters: Characters,
    terms: Terms,
    disguises: Disguises,
    room: Found,
    found: Any,
) -> None:
    """Set *found* for each text in which a term may be, or of which it cannot be told: it has accents of their own."""
    for text in range(begins.size):
        start, end = np.uint64(begins[text]), np.uint64(ends[text])
        count, begun, odd, here = fold_symbols(data, begins[text], ends[text], characters, room)
        place = _0
        while place < begun and not here:
            at = np.uint64(room.starts[place])
            key = _key(room.symbols, at)
            if _may_begin(key, room.symbols, at, characters.kinds, terms.bits):
                here = bool(_term_at(key, room.symbols, at, characters.kinds, terms))
            place += _1
        if not here:
            here = bool(_disguised(data, start, end, count, begun, odd, characters, disguises, room, _1))
        found[text] = here


@bare_kernel
def find_terms(
    data: Any, characters: Characters, terms: Terms, disguises: Disguises, room: Found
) -> tuple[int, int, int, bool]:
    """Find where terms may be in one text: of `starts` only those remain, with their `lengths` in symbols.

    Returns how many there are, how many odd words, the number of symbols, and whether an accent was left out (then there may be
    other terms).
    """
    count, begun, odd, marked = fold_symbols(data, 0, data.size, characters, room)
    most = np.uint64(room.odd.size)
    odd = _disguised(data, _0, np.uint64(data.size), count, begun, odd, characters, disguises, room, most)
    kept = _0
    for place in range(begun):
        start = np.uint64(room.starts[np.uint64(place)])
        key = _key(room.symbols, start)
        if not _may_begin(key, room.symbols, start, characters.kinds, terms.bits):
            continue
        length = _term_at(key, room.symbols, start, characters.kinds, terms)
        if length:
            room.starts[kept] = start
            room.lengths[kept] = length
            kept += _1
    return np.int64(kept), np.int64(odd), np.int64(count), marked
