"""The tables by which kernels find terms in the bytes of texts: what becomes of each character, and the terms as symbols.

The characters are those of the interpreter's own Unicode, because `term_folding.fold` folds with it: a kernel that folded
otherwise would pass over what the matcher finds. All 1.1 million code points take 0.2 s, once in a process.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import PAGE, every_character, paged
from corpusmill.stages.kernels import term_symbols
from corpusmill.stages.kernels import terms as kernels
from corpusmill.stages.term_folding import IGNORED, KATAKANA, MARKS, SAME, SPECIAL, UNSPACED, fold
from corpusmill.stages.text_buffers import TextBuffers
from corpusmill.stages.text_units import EAST_ASIAN, EAST_ASIAN_WORD, SOUTH_EAST_ASIAN, SOUTH_EAST_ASIAN_WORD

__all__ = ["Occurrence", "SymbolText", "TermTable", "WordTable", "characters", "count_words"]

_PARTICLES = re.compile("[\u0590-\u05ff\u0600-\u06ff]")
_TWO_SCRIPTS = re.compile("[\u0370-\u052f]")  # Greek and Cyrillic
_KANA, _HAN = re.compile("[\u3041-\u30fa]"), re.compile("[\u3400-\u9fff]")
_ASTRAL_WORD, _ASTRAL_UNSPACED = 0xE000, 0xE001  # of the private use area, which is in no word itself
_ACCENT = re.compile(f"[{MARKS}]")
_BYTES_AN_ACCENT = 32  # where there are fewer, to look at all of a text is faster: 0.16 µs a byte, and 3.7 µs an accent
_MORE_ROOM = 16
_CASED_BELOW = 0x20000
_MARKED_ABOVE = 0xE0000  # and none between, but the last few
_BITS = 17
_FACTOR = 0x9E3779B97F4A7C15
_SECOND = 0xC2B2AE3D27D4EB4F  # both as in kernels/terms.py
_64_BITS = (1 << 64) - 1


def _fixed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return *array* read-only, the one form that kernels are compiled for."""
    array.flags.writeable = False
    return array


_NO_DISGUISES = kernels.Disguises(
    _fixed(np.zeros(128, np.uint8)), _fixed(np.zeros(0x10000, np.uint8)), _fixed(np.zeros(1 << 10, np.uint64))
)


class Occurrence(NamedTuple):
    """Where a term may be, in bytes of the text: where its first and its last character begin, and a window around it."""

    first: int
    last: int
    left: int
    right: int


@functools.cache
def characters() -> term_symbols.Characters:
    """Return what becomes of each code point."""
    everything = every_character()
    entries = np.full(0x110000, term_symbols.BLANK, np.int32)
    words = _where(r"[^\W_]", everything)
    wordlike = words.copy()
    wordlike[ord("_")] = True
    for codes in (range(0x300, _CASED_BELOW), range(_MARKED_ABOVE, _MARKED_ABOVE + 0x200)):
        wordlike[[code for code in codes if unicodedata.category(chr(code))[0] == "M"]] = True
    unspaced = _where(UNSPACED, everything)
    wordlike |= unspaced | _where(KATAKANA, everything)
    own = np.flatnonzero(wordlike[:0x10000])
    entries[own] = own
    entries[0x10000:][wordlike[0x10000:]] = _ASTRAL_WORD
    entries[0x10000:][unspaced[0x10000:]] = _ASTRAL_UNSPACED
    expansions: list[list[int]] = []
    plain = {written for written, _ in SAME} | {c for c in everything[:_CASED_BELOW] if c.casefold() != c}
    for character in sorted(plain | {found for found in SPECIAL.findall(everything) if len(found) == 1}):
        folded = fold(character).text
        symbols = [int(entries[ord(c)]) & 0xFFFF if wordlike[ord(c)] else term_symbols.BLANK for c in folded]
        if len(symbols) == 1:
            entries[ord(character)] = symbols[0]
        elif symbols:
            entries[ord(character)] = term_symbols.EXPANDED | len(expansions)
            expansions.append([len(symbols), *symbols, 0, 0][:4])
            assert len(symbols) <= min(3, len(character.encode("utf-8", "replace")))
    entries[_where(f"[{IGNORED}]", everything)] = term_symbols.IGNORED
    entries[_where(f"[{MARKS}]", everything)] = term_symbols.MARK
    for pattern, bit in (
        (r"\s", term_symbols.SPACE),
        (f"[{EAST_ASIAN}]", term_symbols.EAST_ASIAN),
        (f"[{SOUTH_EAST_ASIAN}]", term_symbols.SOUTH_EAST_ASIAN),
    ):
        entries[_where(pattern, everything)] |= bit
    entries[words] |= term_symbols.ALNUM
    return _packed(entries, expansions, wordlike, everything)


def _packed(
    entries: npt.NDArray[np.int32], expansions: list[list[int]], wordlike: npt.NDArray[np.bool_], everything: str
) -> term_symbols.Characters:
    """Return the entries in pages, with the classes of symbols."""
    kinds = np.zeros(0x10000, np.uint8)
    symbols = everything[:0x10000]
    kinds[wordlike[:0x10000]] = term_symbols.WORD
    kinds[_where(UNSPACED, symbols)] = term_symbols.UNSPACED
    kinds[_where(KATAKANA, symbols)] = term_symbols.KATAKANA
    kinds[_ASTRAL_WORD], kinds[_ASTRAL_UNSPACED] = term_symbols.WORD, term_symbols.UNSPACED
    kinds[_where(_PARTICLES, symbols) & (kinds == term_symbols.WORD)] |= term_symbols.PARTICLES
    kinds[_where(_TWO_SCRIPTS, symbols) & (kinds == term_symbols.WORD)] |= term_symbols.LOOKALIKE
    kinds[_where(_KANA, symbols)] |= term_symbols.KANA
    kinds[_where(_HAN, symbols)] |= term_symbols.HAN
    several = _fixed(np.array(expansions, np.int32))
    return _with_kinds(term_symbols.Characters(*paged(entries), several, None, None), kinds)


def _with_kinds(table: term_symbols.Characters, kinds: npt.NDArray[np.uint8]) -> term_symbols.Characters:
    """Return *table* with other kinds of symbols."""
    letters = table.pages[0].astype(np.uint16)
    own = kinds[letters]
    letters |= ((own & term_symbols.CLASS) == term_symbols.WORD).astype(np.uint16) << 8
    letters |= (own & term_symbols.START != 0).astype(np.uint16) << 9
    for signs, bits in (("abcdefghijklmnopqrstuvwxyz", 1 << 10), ("0123456789@$!|+*", 1 << 11)):
        letters[[ord(sign) for sign in signs + (signs.upper() if signs.isalpha() else "")]] |= bits
    return table._replace(kinds=_fixed(kinds), letters=_fixed(letters))


def _where(pattern: str | re.Pattern[str], text: str) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(text), np.bool_)
    for match in re.finditer(f"(?:{getattr(pattern, 'pattern', pattern)})+", text):
        found[match.start() : match.end()] = True
    return found


class SymbolText(NamedTuple):
    """A text as symbols, and where terms may be in it (None: anywhere)."""

    data: npt.NDArray[np.uint8]
    room: term_symbols.Found
    size: int
    """How many symbols it has."""
    occurrences: list[Occurrence] | None
    odd: list[int]
    """Symbols of words that are spelled to be missed, as the kernels report them."""


def _room(length: int) -> term_symbols.Found:
    """Return room for a text of *length* bytes: no character becomes more symbols than it has bytes."""
    size = length + _MORE_ROOM
    return term_symbols.Found(np.empty(size, np.uint16), *(np.empty(size, np.uint32) for _ in range(4)))


class TermTable:
    """Terms as the kernels look for them.

    *terms* are folded words and phrases, each with whether any rest of a word may come before it and after it.
    """

    def __init__(self, terms: Iterable[tuple[str, bool, bool]], disguises: kernels.Disguises | None = None) -> None:
        self._disguises = disguises or _NO_DISGUISES
        table = characters()
        kinds = table.kinds.copy()
        listed = set()
        for term, open_start, open_end in terms:
            symbols = _symbols(term)
            listed.add((symbols, open_end))
            kinds[symbols[0]] |= (term_symbols.START if open_start else 0) | (
                term_symbols.SHORT if len(symbols) < 3 else 0
            )
        self.characters = _with_kinds(table, kinds)
        self.terms = _terms(sorted(listed, key=lambda item: (_key(item[0]), *item)))

    def texts_with_terms(self, texts: TextBuffers) -> npt.NDArray[np.bool_]:
        """Say of each text whether a term may be in it."""
        data, starts, ends = texts
        found = np.zeros(len(starts), np.bool_)
        room = _room(int((ends - starts).max(initial=0)))
        kernels.texts_with_terms(data, starts, ends, self.characters, self.terms, self._disguises, room, found)
        return found

    def read(self, data: npt.NDArray[np.uint8], margin: int) -> SymbolText:
        """Return a text with the places where terms may be in it, each with a window of *margin* symbols on both sides."""
        room = _room(data.size)
        found, odd, count, marked = kernels.find_terms(data, self.characters, self.terms, self._disguises, room)
        words = room.odd[:odd].tolist()
        places, lengths, offsets = room.starts[:found].astype(np.int64), room.lengths[:found], room.offsets
        first, last = offsets[places], offsets[places + lengths - 1]
        left, right = places - margin, places + lengths + margin
        if marked:  # an accent is in no symbol, and a letter with it may be of a term
            accents = _accents(data)
            if accents is None or len(accents) * _BYTES_AN_ACCENT > data.size:
                return SymbolText(data, room, count, None, words)
            places = np.searchsorted(offsets[:count], accents)
            first, last = np.concatenate([first, accents]), np.concatenate([last, accents])
            left, right = np.concatenate([left, places - 1 - margin]), np.concatenate([right, places + margin])
            order = np.argsort(first, kind="stable")
            first, last, left, right = first[order], last[order], left[order], right[order]
        left, right = np.maximum(left, 0), np.minimum(right, count)
        beyond = np.maximum.accumulate(right)
        covered = int((beyond - np.maximum(left, np.append(0, beyond[:-1]))).sum()) if len(left) else 0
        if 2 * covered > count:  # windows would cover most of the text
            return SymbolText(data, room, count, None, words)
        begins = np.where(left > 0, offsets[left], 0)
        columns = [column.tolist() for column in (first, last, begins, offsets[right])]
        return SymbolText(data, room, count, [Occurrence(*row) for row in zip(*columns, strict=True)], words)


def _accents(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64] | None:
    """Return where in a text in UTF-8 there are accents that NFC composes, in bytes; None if those of kana are among them.

    After any other letter these are borders of words, so terms beside them count that do not cover them.
    """
    text = data.tobytes().decode()
    if "\u3099" in text or "\u309a" in text:
        return None
    return np.flatnonzero((data & 0xC0) != 0x80)[[match.start() for match in _ACCENT.finditer(text)]]


class WordTable:
    """Words of a list as the kernels look for them, counted wherever they are whole words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._size = len(words)
        slots = 1 << (4 * self._size).bit_length()
        keys, numbers = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
        for number, word in enumerate(words):
            hashed = 0
            for symbol in _symbols(fold(word).text):
                hashed = (hashed ^ symbol) * _FACTOR & _64_BITS
            slot = hashed >> 32 & slots - 1
            while keys[slot]:
                slot = slot + 1 & slots - 1
            keys[slot], numbers[slot] = hashed, number
        self._keys, self._numbers = _fixed(keys), _fixed(numbers)

    def count(self, text: SymbolText, most: int) -> tuple[npt.NDArray[np.int64], int, int]:
        """Return how often each word is among the first *most* symbols of *text*, and how many are kana and Han."""
        times = np.zeros(self._size, np.int64)
        kana, han = term_symbols.count_function_words(
            text.room.symbols, min(text.size, most), characters().kinds, self._keys, self._numbers, times
        )
        return times, kana, han


def count_words(data: npt.NDArray[np.uint8]) -> float:
    """Return the words of a text in UTF-8: runs of non-white space, and characters as `text_units` says."""
    spaced, east, south_east = term_symbols.count_words(data, characters())
    return float(spaced + (east / EAST_ASIAN_WORD + south_east / SOUTH_EAST_ASIAN_WORD))


def _symbols(folded: str) -> tuple[int, ...]:
    """Return the symbols of a folded text; accents that are left in it belong to no symbol."""
    pages, page_of = characters().pages, characters().page_of
    entries = [int(pages[page_of[ord(c) // PAGE], ord(c) % PAGE]) for c in folded]
    symbols = [entry & 0xFFFF for entry in entries if not entry & term_symbols.EXPANDED]
    words = "".join(map(chr, symbols)).split(chr(term_symbols.BLANK))
    return tuple(map(ord, chr(term_symbols.BLANK).join(filter(None, words))))


def _key(symbols: tuple[int, ...]) -> int:
    """Return the first four symbols as one number."""
    return sum(symbol << 16 * place for place, symbol in enumerate(symbols[:4]))


def _looked_for(symbols: tuple[int, ...], key: int) -> tuple[int, ...]:
    """Return the numbers by whose bits the kernels see that a term may be there: by four symbols, then by six if it has them."""
    if len(symbols) < 4:
        return (key,)
    more = symbols[4] | symbols[5] << 16 if len(symbols) > 5 else 1
    return key, key ^ more * _SECOND & _64_BITS


def _terms(listed: Sequence[tuple[tuple[int, ...], bool]]) -> kernels.Terms:
    """Return the tables of terms that are sorted by their key."""
    slots = 1 << (4 * len(listed)).bit_length()
    keys = np.zeros(slots, np.uint64)
    first, last = np.zeros(slots, np.int32), np.zeros(slots, np.int32)
    bits = np.zeros((1 << _BITS) // 64, np.uint64)
    for number, (symbols, _) in enumerate(listed):
        key = _key(symbols)
        for looked_for in _looked_for(symbols, key):
            place = (looked_for * _FACTOR & _64_BITS) >> 64 - _BITS
            bits[place >> 6] |= np.uint64(1 << (place & 63))
        hashed = key * _FACTOR & _64_BITS
        slot = hashed >> 32 & slots - 1
        while keys[slot] not in (0, key):
            slot = slot + 1 & slots - 1
        if keys[slot] == 0:
            keys[slot], first[slot] = key, number
        last[slot] = number + 1
    begin = np.cumsum([0, *(len(symbols) for symbols, _ in listed)], dtype=np.int64)
    together = np.array([symbol for symbols, _ in listed for symbol in symbols], np.uint16)
    open_end = np.array([open_end for _, open_end in listed], np.bool_)
    return kernels.Terms(*(_fixed(array) for array in (bits, keys, first, last, together, begin, open_end)))
