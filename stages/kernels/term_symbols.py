"""The bytes of a text as symbols: code points in 16 bits, folded as `term_folding.fold` does it, without making a string.

Characters that a reader does not see are left out, and every run of what is in no word is one blank. In the same pass it shows
where words begin, and which look as if they were spelled to be missed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined, inner
from corpusmill.stages.kernels.text import decode

__all__ = [
    "ALNUM", "BLANK", "CLASS", "EAST_ASIAN", "EXPANDED", "HAN", "IGNORED", "KANA", "KATAKANA", "LOOKALIKE", "MARK",
    "PARTICLES", "SHORT", "SOUTH_EAST_ASIAN", "SPACE", "START", "UNSPACED", "WORD", "Characters", "Found",
    "count_function_words", "count_words", "fold_symbols",
]  # fmt: skip

BLANK = 32
"""The symbol of whatever is in no word."""
IGNORED, MARK, EXPANDED = 1 << 16, 2 << 16, 3 << 16
"""What an entry of `pages` is besides a symbol: left out; an accent of its own, which needs the exact path; several symbols."""
SPACE, ALNUM, EAST_ASIAN, SOUTH_EAST_ASIAN = 1 << 18, 1 << 19, 1 << 20, 1 << 21
"""Classes of a character that words are counted by, in the same entries (see `text_units`)."""
WORD, UNSPACED, KATAKANA, CLASS = 1, 2, 3, 3
"""Classes of a symbol in `kinds`; two of them belong to one word if both are WORD or both KATAKANA."""
START, PARTICLES, HAN, KANA, SHORT, LOOKALIKE = 4, 8, 16, 32, 64, 128
"""More of a symbol: terms with an open start begin with it; its script writes particles together with words; Han; kana; terms
of one or two symbols begin with it; Greek or Cyrillic."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _16, _32, _48, _64 = (
    np.uint64(number) for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 48, 64)
)
_LONGEST_PARTICLE = _3
_LEAD, _LEADS = np.uint64(0xC2), np.uint64(0x1E)
_TOP_TWO, _FOLLOWS, _LOW_SIX = np.uint64(0xC0), np.uint64(0x80), np.uint64(0x3F)
_31, _LOW_SEVEN, _NOT_SHORT = np.uint64(31), np.uint64(127), np.uint8(0xFF ^ SHORT)
_W = 119  # three times in every web address
_BLANKS_AFTER = 6


class Characters(NamedTuple):
    """What becomes of each code point: `pages[page_of[code >> 7], code & 127]`, and what is known of each symbol."""

    page_of: Any
    pages: Any
    expansions: Any
    """Rows of a count and at most three symbols."""
    kinds: Any
    letters: Any
    """For ASCII the symbol; bit 8: it is of a word; bit 9: terms with an open start begin with it; bit 10: a letter; bit 11: a
    sign that stands for letters."""


class Found(NamedTuple):
    """Room for what is found in a text: a place for every byte and sixteen more."""

    symbols: Any
    offsets: Any
    """Where in the text the character of each symbol begins, in bytes."""
    starts: Any
    """The symbols with which words begin."""
    lengths: Any
    odd: Any
    """The symbols at which a word looks as if it was spelled to be missed; later only words that may be terms, with a SIGHT."""


@inlined
def _put(
    symbol: Any,
    at: np.uint64,
    count: np.uint64,
    begun: np.uint64,
    run: np.uint64,
    before: np.uint8,
    kinds: Any,
    out: Found,
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint8]:
    """Add one symbol; return the counts of symbols and starts, the length of the word so far, and the symbol's kind."""
    kind = kinds[symbol]
    mine, other = kind & CLASS, before & CLASS
    together = (mine == other) & (mine != UNSPACED)
    run = run + _1 if together else _0
    particle = (before & PARTICLES != 0) & (run <= _LONGEST_PARTICLE)
    out.symbols[count] = symbol
    out.offsets[count] = at
    out.starts[begun] = count
    begun += np.uint64((mine != 0) & (not together or particle or kind & START != 0))
    count += np.uint64((mine | other) != 0)
    return count, begun, run, kind


@inlined
def _ascii(data: Any, at: np.uint64) -> bool:
    """Return whether none of the eight bytes from *at* on has its highest bit set; the compiler makes one load of it."""
    eight = (
        (np.uint64(data[at]) | (np.uint64(data[at + _1]) << _8))
        | ((np.uint64(data[at + _2]) << _16) | (np.uint64(data[at + _3]) << np.uint64(24)))
        | ((np.uint64(data[at + _4]) << _32) | (np.uint64(data[at + _5]) << np.uint64(40)))
        | ((np.uint64(data[at + _6]) << _48) | (np.uint64(data[at + _7]) << np.uint64(56)))
    )
    return eight & np.uint64(0x8080808080808080) == 0


@inlined
def _letter(byte: np.uint8) -> np.uint8:
    return np.uint8(np.uint8((byte | np.uint8(32)) - np.uint8(97)) < np.uint8(26))


@inlined
def _sign(byte: np.uint8) -> np.uint8:
    digit = np.uint8(byte - np.uint8(48)) < np.uint8(10)
    signs = (byte == np.uint8(33)) | (byte == np.uint8(36)) | (byte == np.uint8(42)) | (byte == np.uint8(43))
    return np.uint8(digit | signs | (byte == np.uint8(64)) | (byte == np.uint8(124)))


@inner
def _odd_ascii(data: Any, start: np.uint64, end: np.uint64, count: np.uint64, odd: np.uint64, out: Found) -> np.uint64:
    """Add the symbols at which a letter follows signs that follow a letter, or is there a third time.

    The bytes are taken 64 at a time, in vector registers; where no letter follows a sign or two like it, that is all.
    """
    at = start + _2
    symbol = _0
    while at < end:
        shown = np.uint8(0)
        stop = at + _64
        if stop <= end:
            for place in range(64):
                here, one, two = (
                    data[at + np.uint64(place)], data[at + np.uint64(place) - _1], data[at + np.uint64(place) - _2]
                )  # fmt: skip
                unlike = ((here ^ one) | (one ^ two)) & np.uint8(0xDF)
                shown |= _letter(here) & (_sign(one) | np.uint8(unlike == 0))
            if shown == 0:
                at = stop
                continue
        stop = min(stop, end)
        while at < stop:
            here, one, two = data[at] | np.uint8(32), data[at - _1], data[at - _2]
            if _letter(here) and (
                (_sign(one) and (_letter(two) or _sign(two)))
                or (here == one | np.uint8(32) and here == two | np.uint8(32) and here != _W)
            ):
                symbol = _symbol_of(at - start, symbol, count, out)
                out.odd[odd] = symbol
                odd += _1
            at += _1
    return odd


@inner
def _symbol_of(byte: np.uint64, low: np.uint64, high: np.uint64, out: Found) -> np.uint64:
    """Return the first symbol from *low* on whose character begins at *byte* or after it."""
    while low < high:
        middle = (low + high) >> _1
        if out.offsets[middle] < byte:
            low = middle + _1
        else:
            high = middle
    return low


@inner
def fold_symbols(
    data: Any, start: int, end: int, characters: Characters, out: Found
) -> tuple[np.uint64, np.uint64, np.uint64, bool]:
    """Write the symbols of one text, where in the text the character of each begins, which ones begin a word, and odd ones.

    Returns the numbers of symbols, of starts and of odd ones, and whether an accent was left out. Six blanks follow.
    """
    page_of, pages, expansions, kinds, letters = characters
    at, last, first = np.uint64(start), np.uint64(end), np.uint64(start)
    count, begun, odd, run = _0, _0, _0, _0
    before = np.uint8(0)
    one, twice = _0, _0  # the last symbol, and whether the one before it was the same
    marked = False
    while at < last:
        if before & (PARTICLES | LOOKALIKE | 2) == 0 and at + _8 <= last and _ascii(data, at):
            # Most of most texts. A symbol is stored at every step, and overwritten where blanks come together.
            joined = np.uint64(before & CLASS)
            while at + _8 <= last and _ascii(data, at):
                for place in range(8):
                    entry = np.uint64(letters[data[at + np.uint64(place)]])
                    symbol, word = entry & np.uint64(255), (entry >> _8) & _1
                    out.symbols[count] = symbol
                    out.offsets[count] = at + np.uint64(place) - first
                    out.starts[begun] = count
                    begun += word & ((joined ^ _1) | (entry >> _9))
                    count += word | joined
                    joined = word
                at += _8
            before = np.uint8(joined)
            run, twice = _0, _0
            one = np.uint64(letters[data[at - _1]] & 255)
            continue
        place = at - first
        byte = data[at]
        if byte < 128:
            entry = np.int32(letters[byte] & 255)
            at += _1
        else:
            code, at = decode(data, at, last)
            entry = pages[page_of[code >> np.uint64(7)], code & np.uint64(127)] & (EXPANDED | 0xFFFF)
        if entry < IGNORED:
            symbol = np.uint64(entry)
            kind = kinds[symbol]
            # Letters of two scripts, or a third time the same one. What is odd among ASCII is seen by `_odd_ascii`.
            other_script = kind & LOOKALIKE != 0 and 97 <= one <= 122
            mixed = other_script or (before & LOOKALIKE != 0 and 97 <= symbol <= 122)
            repeated = symbol == one
            out.odd[odd] = count
            odd += np.uint64(mixed | (repeated & (twice != 0) & (kind & CLASS == WORD) & (byte >= 128)))
            twice, one = np.uint64(repeated), symbol
            count, begun, run, before = _put(symbol, place, count, begun, run, before, kinds, out)
            # Letters of two bytes that go on with a word, as most of Cyrillic and Greek: no word begins, and none is odd.
            plain = before & (CLASS | PARTICLES | START) == WORD
            while plain and at + _2 <= last:
                lead, follow = np.uint64(data[at]), np.uint64(data[at + _1])
                if lead - _LEAD >= _LEADS or follow & _TOP_TWO != _FOLLOWS:
                    break
                code = (lead & _31) << _6 | (follow & _LOW_SIX)
                entry = pages[page_of[code >> _7], code & _LOW_SEVEN] & (EXPANDED | 0xFFFF)
                if entry >= IGNORED:
                    break
                symbol = np.uint64(entry)
                kind = kinds[symbol]
                if (kind ^ before) & _NOT_SHORT or ((symbol == one) & (twice != 0)):
                    break
                out.symbols[count] = symbol
                out.offsets[count] = at - first
                count += _1
                run += _1
                at += _2
                twice, one, before = np.uint64(symbol == one), symbol, kind
        elif entry >= EXPANDED:
            row = np.uint64(entry & 0xFFFF)
            for number in range(expansions[row, 0]):
                symbol = np.uint64(expansions[row, np.uint64(number + 1)])
                twice, one = np.uint64(symbol == one), symbol
                count, begun, run, before = _put(symbol, place, count, begun, run, before, kinds, out)
        elif entry >= MARK:
            marked = True
    for number in range(_BLANKS_AFTER):
        out.symbols[count + np.uint64(number)] = BLANK
        out.offsets[count + np.uint64(number)] = last - first
    odd = _odd_ascii(data, first, last, count, odd, out)
    return count, begun, odd, marked


@bare_kernel
def count_function_words(symbols: Any, count: int, kinds: Any, keys: Any, numbers: Any, times: Any) -> tuple[int, int]:
    """Count in *times* the words of the first *count* symbols that *keys* has, a table of their hashes with open addressing.

    Returns how many of the symbols are kana, and how many Han.
    """
    size = np.uint64(keys.size - 1)
    kana = han = 0
    at = 0
    while at < count:
        kind = kinds[symbols[at]]
        if kind & CLASS != WORD:
            kana += kind & KANA != 0
            han += kind & HAN != 0
            at += 1
            continue
        hashed = np.uint64(0)
        while at < count and kinds[symbols[at]] & CLASS == WORD:
            hashed = (hashed ^ np.uint64(symbols[at])) * _FACTOR
            at += 1
        slot = (hashed >> _32) & size
        while keys[slot] != 0:
            if keys[slot] == hashed:
                times[numbers[slot]] += 1
                break
            slot = (slot + np.uint64(1)) & size
    return kana, han


@bare_kernel
def count_words(data: Any, characters: Characters) -> tuple[int, int, int]:
    """Count the words of one text as `text_units` says: with spaces, East Asian and South East Asian characters."""
    page_of, pages = characters.page_of, characters.pages
    at, last = np.uint64(0), np.uint64(data.size)
    spaced = east = south_east = 0
    runs, inside, unspaced, solid = 0, False, False, False  # of the piece between white space that we are in
    while at <= last:
        entry = SPACE
        if at == last:
            at += np.uint64(1)
        elif data[at] < 128:
            entry = pages[0, data[at]]
            at += np.uint64(1)
        else:
            code, at = decode(data, at, last)
            entry = pages[page_of[code >> np.uint64(7)], code & np.uint64(127)]
        if entry & SPACE:
            spaced += runs if unspaced else np.int64(solid)
            runs, inside, unspaced, solid = 0, False, False, False
        elif entry & (EAST_ASIAN | SOUTH_EAST_ASIAN):
            east += entry & EAST_ASIAN != 0
            south_east += entry & SOUTH_EAST_ASIAN != 0
            unspaced, inside = True, False
        else:
            word = entry & ALNUM != 0
            runs += word and not inside
            inside = word
            solid = solid or word
    return spaced, east, south_east
