"""Windows of words: hashed, looked up in a table of millions, and found again as bytes of the text.

A window is a fixed number of words; a letter of a script without spaces is a part of a word, so a window is counted in tenths of
a word and holds more letters there. Every window is one difference of two prefix hashes, whatever its length, and nearly every
look-up ends at one word of a bit filter: the table itself is read for hits and for one window in two hundred. The fast scan keeps
no positions; the few texts with hits are split once more by the slow one, which does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.ngram_table import look_up, may_hold
from corpusmill.stages.kernels.text import decode, letter, mix

__all__ = ["LEAST_DISTINCT", "ROLL", "TENTHS", "find", "split", "windows", "words_with_bounds"]

TENTHS = 10
"""What a word of a script with spaces counts; a letter of East Asian scripts counts 5 and one of South-East Asian ones 2."""

LEAST_DISTINCT = 4
"""Distinct words that a window must have to be looked for."""

ROLL = np.uint64(0xA0761D6478BD642F)
_WORD = np.uint64(0xF1357AEA2E62A9C5)
_0, _1, _7, _15, _127 = (np.uint64(number) for number in (0, 1, 7, 15, 127))
_UNSPACED = np.uint64(3)
_BLOCK = 512


@kernel
def split(data: Any, start: int, end: int, letters: Any, index: Any, pages: Any, words: Any) -> int:
    """Write the hashes of the words of a text to *words* and return their number; -1 at a letter of a script without spaces.

    *letters* (128 of uint64) has the value of an ASCII character in a word, 0 for one that is in none. *words* needs a place for
    every two bytes, and two more.
    """
    at, last = np.uint64(start), np.uint64(end)
    count, hashed, inside = _0, _0, _0
    while at < last:
        byte = data[at]
        if byte < 128:
            value = letters[byte]
            at += _1
        else:
            code, at = decode(data, at, last)
            entry = pages[index[code >> _7], code & _127]
            kind = np.uint64(entry) & _15
            if kind == _UNSPACED:
                return -1
            value = letter(np.uint64(np.int64(code) + np.int64(entry >> 4))) if kind > _1 else _0
        is_word = np.uint64(value != _0)
        # A word that ends here is kept: stored at every step, counted at its end. A branch would be mispredicted at each.
        words[count] = hashed
        count += inside & (is_word ^ _1)
        hashed = hashed * (_WORD & (_0 - is_word)) + value
        inside = is_word
    words[count] = hashed
    count += inside
    for place in range(count):
        words[place] = mix(words[place])
    return np.int64(count)


@kernel
def words_with_bounds(
    data: Any,
    start: int,
    end: int,
    letters: Any,
    index: Any,
    pages: Any,
    words: Any,
    tenths: Any,
    begins: Any,
    stops: Any,
) -> int:
    """Write hash, tenths, and first byte and end in *data* of each word; return the number of words."""
    at, last = np.uint64(start), np.uint64(end)
    count = 0
    hashed = _0
    inside = False
    while at < last:
        here = at
        byte = data[at]
        unspaced = False
        if byte < 128:
            value = letters[byte]
            at += _1
        else:
            code, at = decode(data, at, last)
            entry = pages[index[code >> _7], code & _127]
            kind = np.uint64(entry) & _15
            value = letter(np.uint64(np.int64(code) + np.int64(entry >> 4))) if kind > _1 else _0
            unspaced = kind == _UNSPACED
        if inside and (value == _0 or unspaced):
            words[count], tenths[count], stops[count] = mix(hashed), TENTHS, here
            count += 1
            inside = False
        if value == _0:
            continue
        if not inside:
            begins[count] = here
            hashed = _0
        hashed = hashed * _WORD + value
        inside = True
        if unspaced:
            words[count], tenths[count], stops[count] = mix(hashed), _letter_tenths(code), at
            count += 1
            inside = False
    if inside:
        words[count], tenths[count], stops[count] = mix(hashed), TENTHS, last
        count += 1
    return count


@kernel
def _letter_tenths(code: np.uint64) -> int:
    """Return what a letter of a script without spaces counts: see `text_units` for the measurements."""
    south_east = code < 0x3000 or 0xA980 <= code < 0xAAE0 or 0x11700 <= code < 0x11750 or 0x1E6C0 <= code < 0x1E700
    return 2 if south_east else 5


@kernel
def windows(
    data: Any, starts: Any, ends: Any, letters: Any, index: Any, pages: Any, powers: Any, size: int, least: int
) -> tuple[Any, Any, Any, Any, Any, Any, Any]:
    """Return the windows of texts: number of words, tenths, hash, number of windows and tail of each, then all keys and lengths.

    A window ends at every word that has *size* words before it and with it, and begins as late as that allows. A text that is
    shorter, but has *least* words, is one window; its tail is the key of its last *least* words. Lengths are in words; that of a
    window that says too little to name a text is 0: of few distinct words, or of numbers and single letters alone.
    """
    number = starts.size
    counts = np.zeros(number, np.int64)
    sums = np.zeros(number, np.int64)
    wholes = np.zeros(number, np.uint64)
    numbers = np.zeros(number, np.int64)
    tails = np.zeros(number, np.uint64)
    keys = np.empty(1024, np.uint64)
    lengths = np.empty(1024, np.uint8)
    filled = 0
    room = 0
    for text in range(number):
        room = max(room, ends[text] - starts[text])
    room = room // 2 + 2
    words, tenths = np.empty(room, np.uint64), np.empty(room, np.uint8)
    prefixes = np.zeros(room + 1, np.uint64)
    begins, stops = np.empty(room, np.int64), np.empty(room, np.int64)
    telling = np.zeros(room + 1, np.int64)
    for text in range(number):
        count = words_with_bounds(data, starts[text], ends[text], letters, index, pages, words, tenths, begins, stops)
        while keys.size < filled + count:
            keys, lengths = _grown(keys), _grown(lengths)
        total, first, tail_total, tail_first = 0, 0, 0, 0
        before = filled
        for place in range(count):
            prefixes[place + 1] = prefixes[place] * ROLL + words[place]
            plain = tenths[place] == TENTHS and _is_number_or_letter(data, begins[place], stops[place])
            telling[place + 1] = telling[place] + (not plain)
            sums[text] += tenths[place]
            total, first = _latest_start(total + tenths[place], first, size * TENTHS, tenths)
            tail_total, tail_first = _latest_start(tail_total + tenths[place], tail_first, least * TENTHS, tenths)
            if total >= size * TENTHS:
                keys[filled] = _key(prefixes, place + 1, place + 1 - first, powers)
                lengths[filled] = place + 1 - first if _says_enough(words, telling, first, place + 1) else 0
                filled += 1
        counts[text] = count
        wholes[text] = mix(prefixes[count] ^ np.uint64(count))
        if filled == before and tail_total >= least * TENTHS:
            keys[filled] = _key(prefixes, count, count, powers)
            lengths[filled] = count if _says_enough(words, telling, 0, count) else 0
            tails[text] = _key(prefixes, count, count - tail_first, powers)
            filled += 1
        numbers[text] = filled - before
    return counts, sums, wholes, numbers, tails, keys[:filled].copy(), lengths[:filled].copy()


@kernel
def _is_number_or_letter(data: Any, begin: int, stop: int) -> bool:
    """Return whether a word is one character, or of ASCII digits."""
    if stop - begin <= 4 and (data[begin] >= 192 or stop - begin == 1):
        at = begin + 1
        while at < stop and 128 <= data[at] < 192:
            at += 1
        if at == stop:
            return True
    at = begin
    while at < stop and 48 <= data[at] <= 57:
        at += 1
    return at == stop


@kernel
def _says_enough(words: Any, telling: Any, begin: int, end: int) -> bool:
    """Return whether a window has a word besides numbers and letters, and four distinct ones (fewer if it is under 7 long)."""
    if telling[end] == telling[begin]:
        return False
    missing = min(LEAST_DISTINCT, (end - begin + 1) // 2)
    for place in range(begin, end):
        other = begin
        while words[other] != words[place]:
            other += 1
        missing -= other == place
        if missing == 0:
            return True
    return False


@kernel
def _grown(array: Any) -> Any:
    longer = np.empty(array.size * 2, array.dtype)
    for place in range(array.size):  # numba compiles a slice assignment in seconds, a loop in none
        longer[place] = array[place]
    return longer


@kernel
def _key(prefixes: Any, end: int, length: int, powers: Any) -> np.uint64:
    """Return the key of the window of *length* words before *end*."""
    return mix(prefixes[end] - prefixes[end - length] * powers[length])


@kernel
def find(
    data: Any,
    starts: Any,
    ends: Any,
    letters: Any,
    index: Any,
    pages: Any,
    powers: Any,
    size: int,
    least: int,
    shorter: Any,
    bits: Any,
    shift: int,
    buckets: Any,
    keys: Any,
    tail_bits: Any,
    tail_shift: int,
) -> Any:
    """Return the windows of texts that are among *keys*: rows of text, end and length in words, place in *keys*.

    Windows are of *size* words, and of each length in *shorter* (ascending) where they have fewer tenths and their last *least*
    words are in the filter *tail_bits*.
    """
    number = starts.size
    room = 0
    for text in range(number):
        room = max(room, ends[text] - starts[text])
    room = room // 2 + 2
    words = np.empty(room, np.uint64)
    prefixes = np.zeros(room + 1, np.uint64)
    found = np.empty((16, 4), np.int64)
    block = np.empty(_BLOCK, np.uint64)
    places = np.empty(_BLOCK, np.int64)
    tenths = np.empty(0, np.uint8)
    unused = np.empty(0, np.int64)
    tails = 0
    filled = 0
    by_filter, by_tail = np.uint64(shift), np.uint64(tail_shift)
    for text in range(number):
        count = split(data, starts[text], ends[text], letters, index, pages, words)
        spaced = count >= 0
        if not spaced:
            if tenths.size == 0:
                tenths, unused = np.empty(room, np.uint8), np.empty(room, np.int64)
            count = words_with_bounds(
                data, starts[text], ends[text], letters, index, pages, words, tenths, unused, unused
            )
        hashed = _0
        for place in range(count):
            hashed = hashed * ROLL + words[place]
            prefixes[place + 1] = hashed
        if spaced:
            for begin in range(size, count + 1, _BLOCK):
                many = min(_BLOCK, count + 1 - begin)
                for candidate in range(_in_filter(prefixes, begin, many, size, powers, bits, by_filter, block, places)):
                    end = places[candidate]
                    at = look_up(_key(prefixes, end, size, powers), buckets, by_filter, keys)
                    found, filled = _noted(found, filled, text, end, size, at)
            if shorter.size:
                for begin in range(least, count + 1, _BLOCK):
                    many = min(_BLOCK, count + 1 - begin)
                    tails = _in_filter(prefixes, begin, many, least, powers, tail_bits, by_tail, block, places)
                    for candidate in range(tails):
                        end = places[candidate]
                        for length in shorter:
                            if length < size and length <= end:
                                key = _key(prefixes, end, length, powers)
                                if may_hold(key, bits, by_filter):
                                    at = look_up(key, buckets, by_filter, keys)
                                    found, filled = _noted(found, filled, text, end, length, at)
            continue
        total, first, tail_total, tail_first = 0, 0, 0, 0
        for end in range(1, count + 1):
            total, first = _latest_start(total + tenths[end - 1], first, size * TENTHS, tenths)
            if total >= size * TENTHS:
                key = _key(prefixes, end, end - first, powers)
                if may_hold(key, bits, by_filter):
                    found, filled = _noted(
                        found, filled, text, end, end - first, look_up(key, buckets, by_filter, keys)
                    )
            if shorter.size == 0:
                continue
            tail_total, tail_first = _latest_start(tail_total + tenths[end - 1], tail_first, least * TENTHS, tenths)
            if tail_total >= least * TENTHS and may_hold(
                _key(prefixes, end, end - tail_first, powers), tail_bits, by_tail
            ):
                for length in shorter:
                    # What is as long as an n-gram begins no later than one.
                    if length <= end and (total < size * TENTHS or end - length > first):
                        key = _key(prefixes, end, length, powers)
                        if may_hold(key, bits, by_filter):
                            at = look_up(key, buckets, by_filter, keys)
                            found, filled = _noted(found, filled, text, end, length, at)
    return found[:filled].copy()


@kernel
def _in_filter(
    prefixes: Any, begin: int, many: int, length: int, powers: Any, bits: Any, shift: np.uint64, block: Any, places: Any
) -> int:
    """Write the ends, from *begin* on, of windows that the filter may hold to *places*, and return their number.

    Keys are made for a whole block first, in vector registers; what is kept is stored at every step, as in `split`.
    """
    power = powers[length]
    for place in range(many):
        block[place] = mix(prefixes[begin + place] - prefixes[begin + place - length] * power)
    kept = 0
    for place in range(many):
        places[kept] = begin + place
        kept += may_hold(block[place], bits, shift)
    return kept


@kernel
def _latest_start(total: int, first: int, needed: int, tenths: Any) -> tuple[int, int]:
    """Return tenths and first word of the shortest window that still has the tenths *needed*, or of all that there are."""
    while total - tenths[first] >= needed:
        total -= tenths[first]
        first += 1
    return total, first


@kernel
def _noted(found: Any, filled: int, text: int, end: int, length: int, place: int) -> tuple[Any, int]:
    """Add a row to *found* unless *place* is -1; return the rows, copied where there was no room, and how many are filled."""
    if place < 0:
        return found, filled
    if filled == len(found):
        longer = np.empty((len(found) * 2, 4), np.int64)
        for row in range(filled):
            for column in range(4):
                longer[row, column] = found[row, column]
        found = longer
    found[filled, 0], found[filled, 1], found[filled, 2], found[filled, 3] = text, end, length, place
    return found, filled + 1
